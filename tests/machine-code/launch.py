"""One launch of a kernel: memory, arguments, the blocks executed, and what was found wrong on the way."""

import collections

import numpy as np

from boxes import TensorMap
from cluster import Cluster
from machine import Machine, Memory
from nvrtc import cubin


WORD = 4  # what kernels count in along rows of a matrix


class Launch:
    def __init__(self, file, kernel, precision, threads, shared_words, cluster=1):
        self.code, self.kernel, self.threads, self.shared = cubin(file, precision), kernel, threads, shared_words * 4
        self.memory, self.faults, self.cluster = Memory(), collections.Counter(), cluster

    def put(self, array):
        at = self.memory.alloc(array.nbytes, "put")
        self.memory.put(at, array)
        return at

    def empty(self, count, kind=np.float32):
        """NaN until somebody writes."""
        return self.put(np.frombuffer(b"\xff" * count * np.dtype(kind).itemsize, kind))

    def get(self, at, shape, kind=np.float32):
        return self.memory.get(at, int(np.prod(shape)), kind).reshape(shape)

    def matrix(self, array, box_rows):
        """A matrix in memory as the copy engine knows it."""
        return self.described(self.put(array), array.shape, array.itemsize, box_rows)

    def described(self, at, shape, size, box_rows):
        rows, columns = shape
        return TensorMap(self.memory, at, columns * size, rows, columns * size, box_rows, WORD)

    def blocks(self, grid, index, pointers, sizes, numbers=True, floats=()):
        """Those of the cluster that begins with this one."""
        given = [("m" if isinstance(p, TensorMap) else "p", p) for p in pointers] + [("i", v) for v in sizes] + [("f", v) for v in floats]
        x, *others = index
        machines = [
            Machine(self.code, self.kernel, self.memory, given, grid, (x + rank, *others), self.threads, self.shared, trace=not numbers)
            for rank in range(self.cluster)
        ]
        for machine in machines:
            machine.checks(strict=numbers, numbers=numbers)
        Cluster(machines).run()
        for machine in machines:
            self.faults.update(machine.races)
            for what, count in (("read what nobody wrote", machine.uninit), ("exchange with an absent lane", machine.badshfl)):
                if count:
                    self.faults[what, str(machine.uninit_at)] += count
        return machines

    def block(self, *launch, **more):
        (machine,) = self.blocks(*launch, **more)
        return machine

    def go(self, grid, pointers, sizes, floats=()):
        assert grid[0] % self.cluster == 0, "a grid of whole clusters"
        for z in range(grid[2]):
            for y in range(grid[1]):
                for x in range(0, grid[0], self.cluster):
                    self.blocks(grid, (x, y, z), pointers, sizes, floats=floats)
