"""Modelled times of the launches of the standard model: 256 images of 36 x 64 pixels, 128 channels, 6,005 neurons."""

import math
import sys

import readout
from launch import Launch
from timing import CLOCK, MULTIPROCESSORS, Multiprocessor, prepare, side_by_side

MISSING = ("group product cycles", "warp product", "L2 cycles")
BATCH, CHANNELS, PIXELS, NEURONS = 256, 128, 36 * 64, 6005


def cycles(run, grid, indices, pointers, sizes):
    """Of a multiprocessor that works on these blocks, side by side."""
    machines = [run.block(grid, index, pointers, sizes, numbers=False) for index in indices]
    model = Multiprocessor(machines[0].ins, [prepare(m) for m in machines], len(machines)).run()
    return model.cycles, model


def cycles_of_cluster(run, grid, index, pointers, sizes):
    """The same of the multiprocessors that have a cluster, one block each, and what the first one does."""
    machines = run.blocks(grid, index, pointers, sizes, numbers=False)
    models = [Multiprocessor(m.ins, [prepare(m)], 1) for m in machines]
    return side_by_side(models), models[0]


def of_lengths(name, precision, short, long, whole, blocks, block, at_once=1):
    """From two lengths of a block's loop to that of the standard model; `block` gives the cycles of so many at once."""
    (first, one), (second, two) = block(short), block(long)
    step = (second - first) / (long - short)
    fixed = first - short * step
    waves = math.ceil(blocks / MULTIPROCESSORS / at_once)
    microseconds = (fixed + whole * step) * waves / CLOCK * 1e6
    per_step = {k: (two.count[k] - one.count[k]) / (long - short) for k in [*two.count, *MISSING]}
    busy = {
        "tensor cores": per_step["group product cycles"] / 4 + per_step["warp product"] * 6.36 / 4,
        "shared memory": per_step["shared passes"],
        "L2": per_step["L2 cycles"],
        "issue": per_step["issued"] / 4,
        "multiply-adds": per_step["fma"] / 4,
    }
    shown = ", ".join(f"{k} {v / step:.0%}" for k, v in busy.items())
    print(
        f"{name} {precision}: {microseconds:,.0f} us; {blocks} blocks, {waves} waves, {fixed:,.0f} + {whole} x {step:,.0f} cycles; busy: {shown}",
        flush=True,
    )
    return microseconds


def bytes_of(precision):
    return 2 if precision == "bf16" else 4


def warps(kernel, words, grid, short, long, whole, given, sizes):
    """A kernel of readout_tensor.cu; given(length) and sizes(length) are its arguments."""

    def block(length):
        run = Launch("readout_tensor", kernel, "f32", 256, words)
        pointers = [run.memory.alloc(n * 4, "") for n in given(length)]
        return cycles(run, (*grid, 1), [(1, 1, 0)], pointers, sizes(length))

    return of_lengths(kernel, "f32", short, long, whole, grid[0] * grid[1], block)


def warps_forward():
    given = lambda spans: [BATCH * CHANNELS * spans * 16, NEURONS * spans * 16, NEURONS * CHANNELS, NEURONS, BATCH * NEURONS]
    sizes = lambda spans: [BATCH, CHANNELS, spans * 16, NEURONS, 2, 0]
    return warps("readout_tensor_forward", 24832, (-(-NEURONS // 128), BATCH // 2), 6, 18, PIXELS // 16, given, sizes)


def warps_to_maps():
    given = lambda spans: [spans * 16 * PIXELS, (CHANNELS + BATCH) * (spans * 16 + 32), BATCH * CHANNELS * PIXELS]
    sizes = lambda spans: [BATCH, CHANNELS, PIXELS, spans * 16]
    grid = (PIXELS // 128, BATCH * CHANNELS // 256)
    return warps("readout_tensor_backward_input", 24832, grid, 6, 18, -(-NEURONS // 16), given, sizes)


def warps_to_weights():
    given = lambda channels: [
        BATCH * channels * PIXELS,
        NEURONS * PIXELS,
        NEURONS * PIXELS,
        NEURONS * channels,
        NEURONS * BATCH,
        NEURONS,
        NEURONS * PIXELS,
        PIXELS // 128 * NEURONS * channels,
    ]
    sizes = lambda channels: [BATCH, channels, PIXELS, NEURONS, 0]
    grid = (-(-NEURONS // 128), PIXELS // 128)
    return warps("readout_tensor_backward_weights", 17408, grid, 2, 4, CHANNELS, given, sizes)


def convolution(file, kernel, grid, blocks, short, long, whole, given, sizes):
    """A float32 kernel of filters of 5, of whose blocks two share a multiprocessor."""

    def block(length):
        run = Launch(file, kernel, "f32", 256, 12288)
        pointers = [run.memory.alloc(n * 4, "") for n in given]
        return cycles(run, grid, blocks, pointers, sizes(length))

    return of_lengths(kernel, "f32", short, long, whole, grid[0] * grid[1], block, 2)


MAPS, TABLES = BATCH * CHANNELS * PIXELS, [64, 4096, 64]


def convolve(precision):
    assert precision == "f32", "group_conv.py has the gradient of the others"
    given = [MAPS, *TABLES, 16 * 2048, 128, 128, 128, 128, MAPS]
    sizes = lambda features: [8, features, 16, 36, 64, 2, 4, 128, 1, 0]
    return convolution("group_conv", "group_conv_forward_5", (9216, 1, 1), [(40, 0, 0), (41, 0, 0)], 3, 6, 16, given, sizes)


def gradient(precision):
    assert precision == "f32", "group_conv.py has that of the others"
    given = [MAPS, MAPS, *TABLES, 128 * 16 * 128 * 16]
    sizes = lambda tiles: [8, 16, 16, 36, 64, 2, 2, 18432, tiles]
    return convolution("group_conv_gradient", "group_conv_gradient_5", (4, 128, 1), [(0, 1, 0), (1, 1, 0)], 1, 3, 144, given, sizes)


def forward(precision):
    if precision == "f32":
        return warps_forward()
    size, rows, columns = bytes_of(precision), 256, 192
    span = 128 // size

    def block(spans):
        pixels = spans * span
        run = Launch("readout_warpgroup_forward", "readout_warpgroup_forward", precision, 256, 57360, readout.CLUSTER)
        take = lambda n: run.memory.alloc(n, "")
        matrix = lambda rows, box_rows: run.described(take(rows * pixels * size), (rows, pixels), size, box_rows)
        given = [
            matrix(BATCH * CHANNELS, readout.OWN_ROWS),
            matrix(NEURONS, columns),
            take(NEURONS * CHANNELS * 4),
            take(NEURONS * 4),
            take(BATCH * NEURONS * 4),
        ]
        grid = (-(-NEURONS // columns), BATCH // 2, 1)
        return cycles_of_cluster(run, grid, (2, 1, 0), given, [BATCH, CHANNELS, pixels, NEURONS, 2, 0])

    blocks = -(-NEURONS // columns) * BATCH * CHANNELS // rows
    return of_lengths("forward", precision, 6, 12, PIXELS // span, blocks, block)


def to_maps(precision):
    if precision == "f32":
        return warps_to_maps()
    size, rows, columns = bytes_of(precision), 256, 192
    span = 128 // size

    def block(spans):
        neurons = spans * span
        run = Launch("readout_warpgroup_input", "readout_warpgroup_backward_input", precision, 256, 57856)
        take = lambda n: run.memory.alloc(n, "")
        given = [take(neurons * PIXELS * size), take((CHANNELS + BATCH) * neurons * size), take(BATCH * CHANNELS * PIXELS * size)]
        return cycles(run, (PIXELS // columns, BATCH * CHANNELS // rows, 1), [(1, 1, 0)], given, [BATCH, CHANNELS, PIXELS, neurons])

    return of_lengths("to the maps", precision, 6, 12, -(-NEURONS // span), PIXELS // columns * BATCH * CHANNELS // rows, block)


def to_weights(precision):
    if precision == "f32":
        return warps_to_weights()
    size = bytes_of(precision)
    file, kernel, threads, words, rows, columns = readout.weights_kernel(precision)
    tiles = -(-PIXELS // columns)

    def block(channels):
        run = Launch(file, kernel, precision, threads, words)
        take = lambda n: run.memory.alloc(n, "")
        given = [
            take(BATCH * channels * PIXELS * size),
            take(NEURONS * PIXELS * size),
            take(NEURONS * PIXELS * 4),
            take(NEURONS * channels * 4),
            take(NEURONS * BATCH * size),
            take(NEURONS * 4),
            take(NEURONS * PIXELS * 4),
            take(tiles * NEURONS * channels * 4),
        ]
        return cycles(run, (-(-NEURONS // rows), tiles, 1), [(1, 1, 0)], given, [BATCH, channels, PIXELS, NEURONS, 0])

    return of_lengths("to the weights", precision, 8, 16, CHANNELS, -(-NEURONS // rows) * tiles, block)


if __name__ == "__main__":
    products = {"forward": forward, "to_maps": to_maps, "to_weights": to_weights}
    plain = {"convolve": convolve, "gradient": gradient}
    for name in sys.argv[1:] or [f"{k}.{p}" for k in products for p in ("bf16", "tf32", "f32")] + [f"{k}.f32" for k in plain]:
        product, precision = name.split(".")
        (products | plain)[product](precision)
