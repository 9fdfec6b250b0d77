"""Modelled times of the readout through windows: 6,005 neurons, windows of 16 x 16 pixels with corners on a grid of 4, as many neurons each."""

import math
import sys

import numpy as np

from launch import Launch
from standard import BATCH, CHANNELS, NEURONS, bytes_of
from timing import CLOCK, MULTIPROCESSORS, Multiprocessor, prepare

HEIGHT, WIDTH, SIDE, GRID = 36, 64, 16, 4
TILE, TILE_NEURONS, PATCH, AT_ONCE = 128, 64, (8, 16), 2
FILE = "readout_windows"


class Tables:
    def __init__(self):
        corners = [(y, x) for y in range(0, HEIGHT - SIDE + 1, GRID) for x in range(0, WIDTH - SIDE + 1, GRID)]
        ends = [NEURONS * (k + 1) // len(corners) for k in range(len(corners))]
        self.groups, self.of_neurons, self.of_pixels, first = [], [], [], 0
        for k, ((top, left), end) in enumerate(zip(corners, ends)):
            self.groups.append((top, left, SIDE, SIDE, first, end - first, first * SIDE * SIDE, 0))
            for n in range(0, end - first, TILE_NEURONS):
                self.of_neurons.append((k, n, 0, 0))
                self.of_pixels += [(k, n, p, 0) for p in range(0, SIDE * SIDE, TILE)]
            first = end

    def put(self, run):
        return [run.put(np.array(t, np.uint32)) for t in (self.groups, self.of_neurons, self.of_pixels)]


def cycles(run, grid, indices, pointers, sizes):
    """Of these blocks, AT_ONCE at a time, per block."""
    machines = [run.block(grid, index, pointers, sizes, numbers=False) for index in indices]
    return Multiprocessor(machines[0].ins, [prepare(m) for m in machines], AT_ONCE, 100).run().cycles / len(machines)


def say(name, precision, per_block, blocks):
    """A block's time on a multiprocessor that has AT_ONCE; whole waves."""
    waves = math.ceil(blocks / MULTIPROCESSORS / AT_ONCE)
    microseconds = per_block * AT_ONCE * waves / CLOCK * 1e6
    print(f"{name} {precision}: {microseconds:,.0f} us; {blocks} blocks, {waves} waves, {per_block:,.0f} cycles a block", flush=True)
    return microseconds


def forward(precision):
    run, tables = Launch(FILE, "readout_windows_forward", precision, 256, 12288), Tables()
    take = lambda n: run.memory.alloc(n, "")
    x, h = take(BATCH * CHANNELS * HEIGHT * WIDTH * bytes_of(precision)), take(BATCH * NEURONS * 4)
    groups, of_neurons, _ = tables.put(run)
    given = [x, take(NEURONS * SIDE * SIDE * 4), take(NEURONS * CHANNELS * 4), take(NEURONS * 4), groups, of_neurons]
    given += [run.put(np.arange(NEURONS, dtype=np.uint32)), h]
    grid = (len(tables.of_neurons), BATCH, 1)
    per_block = cycles(run, grid, [(40 + k, 1, 0) for k in range(4)], given, [BATCH, CHANNELS, HEIGHT, WIDTH, NEURONS, 1, 0])
    return say("windows, forward", precision, per_block, grid[0] * grid[1])


def to_maps(precision):
    run, tables = Launch(FILE, "readout_windows_backward_input", precision, 256, 12288), Tables()
    take = lambda n: run.memory.alloc(n, "")
    groups, _, _ = tables.put(run)
    given = [take(NEURONS * SIDE * SIDE * 4), take(NEURONS * CHANNELS * 4), take(BATCH * NEURONS * 4), groups]
    given.append(take(BATCH * CHANNELS * HEIGHT * WIDTH * bytes_of(precision)))
    grid = (-(-HEIGHT // PATCH[0]) * -(-WIDTH // PATCH[1]), BATCH * CHANNELS // TILE, 1)
    sizes = [len(tables.groups), BATCH, CHANNELS, HEIGHT, WIDTH, NEURONS, 0]
    # Patches at the border meet fewer windows: all of them, two at a time.
    per_block = cycles(run, grid, [(k, 1, 0) for k in range(grid[0])], given, sizes)
    return say("windows, to the maps", precision, per_block, grid[0] * grid[1])


def to_weights(precision):
    def block(channels):
        run, tables = Launch(FILE, "readout_windows_backward_weights", precision, 256, 12288), Tables()
        take = lambda n: run.memory.alloc(n, "")
        groups, _, of_pixels = tables.put(run)
        given = [take(BATCH * channels * HEIGHT * WIDTH * bytes_of(precision)), take(NEURONS * SIDE * SIDE * 4)]
        given += [take(NEURONS * channels * 4), take(BATCH * NEURONS * 4), groups, of_pixels, take(NEURONS * SIDE * SIDE * 4)]
        given.append(take(2 * NEURONS * channels * 4))
        grid = (len(tables.of_pixels), 1, 1)
        return grid[0], cycles(run, grid, [(80, 0, 0), (82, 0, 0)], given, [BATCH, channels, HEIGHT, WIDTH, NEURONS, 0])

    (blocks, one), (_, two) = block(2), block(5)
    step = (two - one) / 3
    return say("windows, to the weights", precision, one + (CHANNELS - 2) * step, blocks)


if __name__ == "__main__":
    for precision in sys.argv[1:] or ["bf16"]:
        all_three = sum(product(precision) for product in (forward, to_maps, to_weights))
        print(f"windows, {precision}: {all_three:,.0f} us together", flush=True)
