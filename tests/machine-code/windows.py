"""Modelled times of the readout through windows: 6,005 neurons, windows of 16 x 16 pixels with corners on a grid of 4, as many neurons each.

On warpgroups (readout_regions_*.cu), in float32 readout_windows.cu."""

import heapq
import math
import sys

import numpy as np

import regions
import standard
from launch import Launch
from regions import GRID, HEIGHT, SIDE, WIDTH
from standard import BATCH, CHANNELS, NEURONS, bytes_of
from timing import CLOCK, MULTIPROCESSORS, Multiprocessor, prepare

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
        given += [take(NEURONS * channels * 4), take(BATCH * NEURONS * 4), take(NEURONS * 4), groups, of_pixels]
        given.append(take(NEURONS * SIDE * SIDE * 4))
        given.append(take(2 * NEURONS * channels * 4))
        grid = (len(tables.of_pixels), 1, 1)
        return grid[0], cycles(run, grid, [(80, 0, 0), (82, 0, 0)], given, [BATCH, channels, HEIGHT, WIDTH, NEURONS, 0])

    (blocks, one), (_, two) = block(2), block(5)
    step = (two - one) / 3
    return say("windows, to the weights", precision, one + (CHANNELS - 2) * step, blocks)


class Warpgroups:
    """The three products. Blocks differ in length, and are handed out as multiprocessors become free."""

    def __init__(self, precision):
        self.precision, self.size, self.regions = precision, bytes_of(precision), regions.standard(precision)
        self.maps = BATCH * CHANNELS * HEIGHT * WIDTH * self.size
        self.masks = len(self.regions.chunks) * 16 * regions.TILE

    def measure(self, kernel, grid, index, given, sizes):
        """Cycles of one block; `given`: tables, and bytes of arrays that nobody looks at."""
        run = Launch(*kernel)
        pointers = [run.memory.alloc(g, "") if isinstance(g, int) else run.put(g) for g in given]
        return standard.cycles(run, grid, [index], pointers, sizes)[0]

    def say(self, name, blocks):
        free = [0.0] * MULTIPROCESSORS
        for cycles in blocks:
            heapq.heappush(free, heapq.heappop(free) + cycles)
        microseconds, full = max(free) / CLOCK * 1e6, sum(blocks) / MULTIPROCESSORS / CLOCK * 1e6
        print(f"windows, {name} {self.precision}: {microseconds:,.0f} us; {len(blocks)} blocks, {full:,.0f} us of them full", flush=True)
        return microseconds

    def forward(self):
        r, ranges, images = self.regions, 4, 128
        _, tiles, chunks, *_, sight = r.tables()
        spans, cycles = np.diff(r.tiles), {}
        given = [self.maps, self.masks, NEURONS * CHANNELS * 4, tiles, chunks, sight, ranges * BATCH * NEURONS * 4]

        def block(tile, channels):
            grid, sizes = (BATCH // images, ranges, len(spans)), [BATCH, CHANNELS, HEIGHT * WIDTH, NEURONS, channels, 0]
            return self.measure(regions.forward_kernel(self.precision), grid, (1, 0, tile), given, sizes)

        for tile, n in enumerate(spans):
            if n not in cycles:
                short, long = block(tile, 3), block(tile, 9)
                cycles[n] = short + (CHANNELS / ranges - 3) * (long - short) / 6
        return self.say("forward", [cycles[n] for n in spans for _ in range(ranges * BATCH // images)])

    def to_maps(self):
        r, rows = self.regions, 256
        *_, patches, _ = r.tables()
        masks, factors = len(r.viewers) * 16 * math.prod(regions.PATCH), (CHANNELS + BATCH) * (NEURONS + 32) * self.size
        given = [masks, factors, np.array(r.viewers, np.uint32), patches, self.maps]
        row_blocks = BATCH * CHANNELS // rows

        def block(patch):
            sizes = [BATCH, CHANNELS, HEIGHT, WIDTH, NEURONS]
            return self.measure(regions.maps_kernel(self.precision), (row_blocks, len(patches), 1), (1, patch, 0), given, sizes)

        return self.say("to the maps", [c for patch in range(len(patches)) for c in [block(patch)] * row_blocks])

    def to_weights(self):
        r, ranges = self.regions, 3
        slots, tiles, chunks, pieces, *_ = r.tables()
        inside = int(r.starts[-1])
        given = [self.maps, self.masks, NEURONS * CHANNELS * 4, len(slots) * BATCH * self.size, slots, tiles, chunks, pieces]
        given += [ranges * inside * 4, len(pieces) * regions.TILE * CHANNELS * 4]

        def block(channels):
            sizes = [BATCH, CHANNELS, HEIGHT * WIDTH, WIDTH, NEURONS, inside, channels, 0]
            return self.measure(regions.weights_kernel(self.precision), (len(pieces), ranges, 1), (2, 0, 0), given, sizes)

        short, long = block(8), block(16)
        each = -(-CHANNELS // ranges)
        return self.say("to the weights", [short + (each - 8) * (long - short) / 8] * (len(pieces) * ranges))


if __name__ == "__main__":
    warps, names = {"forward": forward, "to_maps": to_maps, "to_weights": to_weights}, {}
    for name in sys.argv[1:] or [f"{k}.{p}" for p in ("bf16", "tf32", "f32") for k in warps]:
        product, precision = name.split(".")
        names.setdefault(precision, []).append(product)
    for precision, products in names.items():
        own = Warpgroups(precision) if precision != "f32" else None
        total = sum(warps[product](precision) if own is None else getattr(own, product)() for product in products)
        print(f"windows, {precision}: {total:,.0f} us together", flush=True)
