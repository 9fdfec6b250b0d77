"""One launch of a kernel: memory, arguments, the blocks executed, and what was found wrong on the way."""

import collections

import numpy as np

from machine import Machine, Memory
from nvrtc import cubin


class Launch:
    def __init__(self, file, kernel, precision, threads, shared_words):
        self.code, self.kernel, self.threads, self.shared = cubin(file, precision), kernel, threads, shared_words * 4
        self.memory, self.faults = Memory(), collections.Counter()

    def put(self, array):
        at = self.memory.alloc(array.nbytes, "put")
        self.memory.put(at, array)
        return at

    def empty(self, count, kind=np.float32):
        """NaN until somebody writes."""
        return self.put(np.frombuffer(b"\xff" * count * np.dtype(kind).itemsize, kind))

    def get(self, at, shape, kind=np.float32):
        return self.memory.get(at, int(np.prod(shape)), kind).reshape(shape)

    def block(self, grid, index, pointers, sizes, numbers=True, floats=()):
        given = [("p", p) for p in pointers] + [("i", v) for v in sizes] + [("f", v) for v in floats]
        machine = Machine(self.code, self.kernel, self.memory, given, grid, index, self.threads, self.shared, trace=not numbers)
        machine.run(numbers=numbers, strict=numbers)
        self.faults.update(machine.races)
        for what, count in (("read what nobody wrote", machine.uninit), ("exchange with an absent lane", machine.badshfl)):
            if count:
                self.faults[what, str(machine.uninit_at)] += count
        return machine

    def go(self, grid, pointers, sizes, floats=()):
        for z in range(grid[2]):
            for y in range(grid[1]):
                for x in range(grid[0]):
                    self.block(grid, (x, y, z), pointers, sizes, floats=floats)
