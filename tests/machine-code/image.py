"""The convolution of images of one channel or a few (conv_image_*.cu): forward, to the weights, to the images; against float64, and modelled times.

image.py [PRECISION ..]"""

import sys
import time

import numpy as np

from arrays import bits_of_bf16, halves, rounded
from launch import Launch
from timing import CLOCK, MULTIPROCESSORS, Multiprocessor, prepare

# batch, channels of images and of maps, height, width, filter, padding; rows of a block of two of the products; pieces of a block
SIZES = [(2, 1, 70, 8, 32, 13, 6, 4, 3), (1, 2, 37, 9, 24, 5, 2, 8, 1), (2, 1, 20, 12, 30, 15, 7, 4, 2), (2, 2, 11, 8, 70, 3, 1, 4, 2)]
STANDARD = (256, 1, 128, 36, 64, 13, 6)
TOLERANCE = {"bf16": 8e-3, "tf32": 2e-3, "f32": 2e-6}
DEPTH, TAPS = 8, 176  # units of a step; taps of a block of the ways back


class Case:
    """Operands, and how they lie in memory."""

    def __init__(self, precision, batch, ins, outs, height, width, kernel, padding, rows=0, each=0):
        draw, self.precision, self.rows, self.each = np.random.default_rng(1).standard_normal, precision, rows, each
        self.sizes = [ins, outs, height, width, kernel, padding]
        self.batch, self.ins, self.outs, self.height, self.width, self.kernel, self.padding = batch, *self.sizes
        self.out = (height + 2 * padding + 1 - kernel, width + 2 * padding + 1 - kernel)
        self.x, self.dy, self.w = (
            rounded(draw(shape), precision)
            for shape in ((batch, ins, height, width), (batch, outs, *self.out), (outs, ins, kernel, kernel))
        )

    def maps(self, run, values):
        return run.put(bits_of_bf16(values) if self.precision == "bf16" else values)

    def kind(self):
        return np.uint16 if self.precision == "bf16" else np.float32

    def got(self, run, at, shape):
        numbers = run.get(at, shape, self.kind())
        return halves(numbers) if self.precision == "bf16" else numbers

    def taps(self):
        """Where the padded images meet each tap."""
        wide = np.pad(self.x.astype(float), [(0, 0)] * 2 + [(self.padding, self.padding)] * 2)
        for u in range(self.kernel):
            for v in range(self.kernel):
                yield u, v, wide[..., u : u + self.out[0], v : v + self.out[1]]


def filter_words(precision, ins, outs, kernel):
    row = -(-kernel // 2) if precision == "bf16" else kernel
    return ins * -(-kernel * row // DEPTH) * -(-outs // 64) * 4 * 128


def tap_words(precision, ins, outs, kernel):
    at_once, wide = TAPS // kernel * kernel, 2 if precision == "bf16" else 1
    return ins * -(-kernel * kernel // at_once) * -(-outs // (DEPTH * wide)) * DEPTH * TAPS


def with_shared(run, words):
    run.shared = 4 * words
    return run


def launch_forward(precision):
    return with_shared(Launch("conv_image_forward", "conv_image_forward", precision, 128, 0), 2688 + 632)


def launch_weights(precision):
    return Launch("conv_image_weights", "conv_image_backward_weights", precision, 256, 16384)


def launch_input(precision):
    return Launch("conv_image_input", "conv_image_backward_input", precision, 256, 18404)


def operands(case, file, kernel, threads, words):
    """The filters as the product wants them."""
    run = Launch(file, kernel, case.precision, threads, 0)
    to = run.empty(words)
    run.go((-(-words // threads), 1, 1), [run.put(case.w), to], [case.ins, case.outs, case.kernel, words])
    return run.get(to, (words,)), run.faults


def forward(case):
    run, across = launch_forward(case.precision), min(8, -(-case.out[1] // 8))
    words = filter_words(case.precision, case.ins, case.outs, case.kernel)
    filters, faults = operands(case, "conv_image_forward", "conv_image_filters", 128, words)
    y = run.empty(case.batch * case.outs * case.out[0] * case.out[1], case.kind())
    grid = (-(-case.out[1] // (8 * across)) * -(-case.out[0] // (32 // across)), -(-case.outs // 64), case.batch)
    run.go(grid, [case.maps(run, case.x), run.put(filters), y], [*case.sizes, across])
    run.faults.update(faults)
    want = sum(np.einsum("bcij,oc->boij", seen, case.w[..., u, v].astype(float)) for u, v, seen in case.taps())
    return run, case.got(run, y, want.shape), want


def to_weights(case):
    run, taps = launch_weights(case.precision), case.kernel**2
    parts = -(-case.batch * -(-case.out[0] // case.rows) // case.each) * 8 // ((1 + (case.outs > 64)) * (1 + (taps > 88)))
    to = run.empty(parts * case.outs * case.ins * taps)
    grid = (-(-taps // TAPS) * case.ins, -(-case.outs // 128), -(-case.batch * -(-case.out[0] // case.rows) // case.each))
    run.go(grid, [case.maps(run, case.x), case.maps(run, case.dy), to], [case.batch, *case.sizes, case.rows, case.each])
    want = np.zeros(case.w.shape)
    for u, v, seen in case.taps():
        want[..., u, v] = np.einsum("bcij,boij->oc", seen, case.dy.astype(float))
    return run, run.get(to, (parts, *case.w.shape)).astype(float).sum(0), want


def to_images(case):
    run = launch_input(case.precision)
    taps, faults = operands(case, "conv_image_input", "conv_image_taps", 256, tap_words(case.precision, case.ins, case.outs, case.kernel))
    dx = run.empty(case.x.size, case.kind())
    strip = case.width if case.out[1] <= 64 else 65 - case.kernel
    grid = (-(-case.width // strip) * -(-case.height // case.rows), case.ins, case.batch)
    run.go(grid, [case.maps(run, case.dy), run.put(taps), dx], [*case.sizes[1:], case.rows, strip])
    run.faults.update(faults)
    p = case.padding
    want = np.zeros((case.batch, case.ins, case.height + 2 * p, case.width + 2 * p))
    for u in range(case.kernel):
        for v in range(case.kernel):
            terms = np.einsum("boij,oc->bcij", case.dy.astype(float), case.w[..., u, v].astype(float))
            want[..., u : u + case.out[0], v : v + case.out[1]] += terms
    return run, case.got(run, dx, case.x.shape), want[..., p : p + case.height, p : p + case.width]


def model(run, grid, blocks, pointers, sizes, at_once):
    """Cycles of these blocks, so many at once on one multiprocessor that is handed new ones."""
    machines = [run.block(grid, block, pointers, sizes, numbers=False) for block in blocks]
    return Multiprocessor(machines[0].ins, [prepare(m) for m in machines], at_once, 100).run().cycles


def times(precision):
    """Microseconds of a launch at the sizes of the standard model, whose blocks that share a multiprocessor begin together unless it is handed new ones."""
    batch, ins, outs, height, width, kernel, padding = STANDARD
    size = 2 if precision == "bf16" else 4
    take = lambda run, *counts: [run.memory.alloc(n, "") for n in counts]
    x, y = batch * height * width * size, batch * outs * height * width * size
    if precision != "f32":
        run = launch_forward(precision)
        given = take(run, x, filter_words(precision, ins, outs, kernel) * 4, y)
        eight = [(i // 2 + 1, i % 2, 7) for i in range(8)]
        cycles = model(run, (9, 2, batch), eight, given, [*STANDARD[1:], 8], 2) / 8
        yield "forward", 9 * 2 * batch / MULTIPROCESSORS * cycles
        run = launch_weights(precision)
        given = take(run, x, y, batch * outs * kernel * kernel * 4)
        one, two = (model(run, (1, 1, 1), [(0, 0, 0)], given, [1, *STANDARD[1:], 8, each], 1) for each in (1, 2))
        yield "to the weights", one + (2 * height - 8) * (two - one) / 8
    run = launch_input(precision)
    given = take(run, y, tap_words(precision, ins, outs, kernel) * 4, x)
    # Blocks at the top that own 1 and 3 rows see 7 and 9 of dy.
    one, three = (model(run, (-(-height // rows), 1, batch), [(0, 0, 0), (0, 0, 1)], given, [*STANDARD[2:], rows, width], 2) for rows in (1, 3))
    yield "to the images", one + (height - 7) * (three - one) / 2


def main(precisions):
    bad = False
    for precision in precisions or TOLERANCE:
        for product in (forward, to_weights, to_images) if precision != "f32" else (to_images,):
            for sizes in SIZES:
                began = time.time()
                run, got, want = product(Case(precision, *sizes))
                off = np.abs(got - want).max() / np.abs(want).max()
                bad |= not off <= TOLERANCE[precision] or bool(run.faults)
                print(f"{product.__name__} {precision} {sizes}: off by {off:.1e} {dict(run.faults)} ({time.time() - began:.0f} s)", flush=True)
        for name, cycles in times(precision):
            print(f"{name} {precision}: {cycles / CLOCK * 1e6:,.0f} us", flush=True)
    sys.exit(bad)


if __name__ == "__main__":
    main(sys.argv[1:])
