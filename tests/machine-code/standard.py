"""Modelled times of the launches of the standard model: 256 images of 36 x 64 pixels, 128 channels, 6,005 neurons."""

import math
import sys

import readout
from launch import Launch
from timing import CLOCK, MULTIPROCESSORS, Multiprocessor, prepare

MISSING = ("group product cycles", "warp product", "L2 cycles")
BATCH, CHANNELS, PIXELS, NEURONS = 256, 128, 36 * 64, 6005


def cycles(run, grid, indices, pointers, sizes):
    """Of a multiprocessor that works on these blocks, one after the other, per block."""
    machines = [run.block(grid, index, pointers, sizes, numbers=False) for index in indices]
    model = Multiprocessor(machines[0].ins, [prepare(m) for m in machines], 1).run()
    return model.cycles / len(machines), model


def of_lengths(name, precision, short, long, whole, blocks, block):
    """From two lengths of a block's loop to that of the standard model."""
    (first, one), (second, two) = block(short), block(long)
    step = (second - first) / (long - short)
    fixed = first - short * step
    waves = math.ceil(blocks / MULTIPROCESSORS)
    microseconds = (fixed + whole * step) * waves / CLOCK * 1e6
    per_step = {k: (two.count[k] - one.count[k]) / (long - short) for k in [*two.count, *MISSING]}
    busy = {
        "tensor cores": per_step["group product cycles"] / 4 + per_step["warp product"] * 6.36 / 4,
        "shared memory": per_step["shared passes"],
        "L2": per_step["L2 cycles"],
        "issue": per_step["issued"] / 4,
    }
    shown = ", ".join(f"{k} {v / step:.0%}" for k, v in busy.items())
    print(
        f"{name} {precision}: {microseconds:,.0f} us; {blocks} blocks, {waves} waves, {fixed:,.0f} + {whole} x {step:,.0f} cycles; busy: {shown}",
        flush=True,
    )
    return microseconds


def bytes_of(precision):
    return 2 if precision == "bf16" else 4


def forward(precision):
    size, rows, columns = bytes_of(precision), 256, 192
    span = 128 // size

    def block(spans):
        pixels = spans * span
        run = Launch("readout_warpgroup_forward", "readout_warpgroup_forward", precision, 256, 57344)
        take = lambda n: run.memory.alloc(n, "")
        given = [
            take(BATCH * CHANNELS * pixels * size),
            take(NEURONS * pixels * size),
            take(NEURONS * CHANNELS * 4),
            take(NEURONS * 4),
            take(BATCH * NEURONS * 4),
        ]
        grid = (-(-NEURONS // columns), BATCH // 2, 1)
        return cycles(run, grid, [(1, 1, 0)], given, [BATCH, CHANNELS, pixels, NEURONS, 2, 0])

    blocks = -(-NEURONS // columns) * BATCH * CHANNELS // rows
    return of_lengths("forward", precision, 6, 12, PIXELS // span, blocks, block)


def to_maps(precision):
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
            take(NEURONS * PIXELS * 4),
            take(tiles * NEURONS * channels * 4),
        ]
        return cycles(run, (-(-NEURONS // rows), tiles, 1), [(1, 1, 0)], given, [BATCH, channels, PIXELS, NEURONS, 0])

    return of_lengths("to the weights", precision, 8, 16, CHANNELS, -(-NEURONS // rows) * tiles, block)


if __name__ == "__main__":
    products = {"forward": forward, "to_maps": to_maps, "to_weights": to_weights}
    for name in sys.argv[1:] or [f"{k}.{p}" for k in products for p in ("bf16", "tf32")]:
        product, precision = name.split(".")
        products[product](precision)
