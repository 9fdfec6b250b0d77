"""The gradient of 8 orientations' coefficients (group_conv_eight_gradient.cu): its sums against float64, and its modelled time.

group_conv.py [PRECISION ..]"""

import sys
import time

import numpy as np

from arrays import bits_of_bf16, rounded
from launch import Launch
from timing import CLOCK, Multiprocessor, prepare

ORDERS = [1, 1, 3, 0, 0, 2, 2, 4]  # of the slots
# By order: what meets frequencies 0 and 4, then 1 to 3 twice; unit and sign.
NUMBERS = ["0+ 0- 1+ 1- 2+ 2- 3- 3+", "1+ 3- 0+ 2+ 1- 3+ 0- 2-", "2+ 2- 1+ 3+ 0+ 0- 3- 1-", "3+ 1- 0- 2+ 3- 1+ 0+ 2-", "0- 0+ 3+ 3- 2+ 2- 1- 1+"]
# batch, input and output features, height, width, filter, padding, slices
SIZES = [(1, 5, 17, 5, 34, 5, 2, 2), (2, 3, 2, 9, 36, 3, 0, 3), (1, 2, 4, 6, 8, 5, 4, 1), (1, 5, 18, 14, 34, 3, 1, 2)]
TOLERANCE = {"bf16": 8e-3, "tf32": 2e-3}
ROWS = {"bf16": 4, "tf32": 1}  # of a tile
WORDS = 12816


def launch(precision, kernel):
    return Launch("group_conv_eight_gradient", f"group_conv_eight_gradient_{kernel}", precision, 128, WORDS)


def stored(spectrum, name):
    """A number as the kernel holds it: plus is D = B_r - i B_i of a frequency, minus the conjugate of that of its negative."""
    unit = int(name[0])
    if unit == 0:
        return spectrum[4 * (name[1] == "-")].conj()
    return spectrum[unit] if name[1] == "+" else spectrum[8 - unit].conj()


def conjugate(k, order, name):
    """Whether frequency k takes the conjugate of what the kernel holds: it takes D[k + order] and the conjugate of D[order - k]."""
    held = lambda u, conjugated: f"{min(u, 8 - u) % 4}{'-' if u == 4 or u % 4 and conjugated != (u > 4) else '+'}"
    u, v = (k + order) % 8, (k - order) % 8
    if name == held(u, False):
        return u > 4 or u % 4 == 0
    assert name == held(v, True), (k, order, name)
    return v > 4


def reference(x, dy, filters, padding):
    """(input feature, frequency, first or second, slot, output feature)"""
    kernel, (height, width) = filters.shape[-1], dy.shape[-2:]
    planes, gradient = np.fft.fft(x, axis=1), np.fft.fft(dy, axis=1)
    planes = np.pad(planes, [(0, 0)] * 3 + [(padding, padding)] * 2)
    responses = sum(
        filters[:, :, None, None, None, i, j, None, None] * planes[..., i : i + height, j : j + width]
        for i in range(kernel)
        for j in range(kernel)
    )  # (2, slot, image, frequency, feature, row, column)
    spectrum = np.moveaxis(responses[0] - 1j * responses[1], 2, 0)  # (frequency, slot, image, feature, ..)
    sums = np.zeros((x.shape[2], 8, 2, 8, dy.shape[2]))
    for slot, order in enumerate(ORDERS):
        for i, name in enumerate(NUMBERS[order].split()):
            k = [0, 4, 1, 1, 2, 2, 3, 3][i]
            number, sign = stored(spectrum, name)[slot], 1
            if i > 1 and conjugate(k, order, name):
                number, sign = number.conj(), -1
            product = np.einsum("bfij,bgij->fg", number, gradient[:, k].conj())
            sums[:, i, 0, slot], sums[:, i, 1, slot] = product.real, sign * product.imag
    return sums


def check(precision, batch, ins, outs, height, width, kernel, padding, slices):
    draw = np.random.default_rng(1).standard_normal
    more = 2 * padding + 1 - kernel
    x = rounded(draw((batch, 8, ins, height, width)), precision)
    dy = rounded(draw((batch, 8, outs, height + more, width + more)), precision)
    filters = rounded(draw((2, 8, kernel, kernel)), precision)
    if kernel == 3:
        filters[:, [1, 2, 3, 6, 7]] = 0  # slots that there are no functions for
    run = launch(precision, kernel)
    maps = lambda v: run.put(bits_of_bf16(v) if precision == "bf16" else v)
    tiles = batch * -(-(height + more) // ROWS[precision]) * -(-(width + more) // 32)
    each = -(-tiles // slices)
    slices, chunks = -(-tiles // each), -(-outs // 16)
    partial = run.empty(slices * ins * 128 * chunks * 16)
    run.go((-(-ins // 4), slices, chunks), [maps(x), maps(dy), run.put(filters), partial], [ins, outs, height, width, padding, tiles, each])
    got = run.get(partial, (slices, ins, 8, 2, 8, chunks * 16)).astype(float).sum(0)[..., :outs]
    return run, got, reference(x.astype(float), dy.astype(float), filters.astype(float), padding)


def cycles(precision, tiles):
    """Of three blocks that begin together on a multiprocessor, at the sizes of the standard model."""
    run, size = launch(precision, 5), 2 if precision == "bf16" else 4
    take = lambda n: run.memory.alloc(n, "")
    maps = 256 * 128 * 36 * 64 * size
    given = [take(maps), take(maps), take(2 * 8 * 25 * 4), take(99 * 16 * 128 * 16 * 4)]
    whole = 256 * 36 // ROWS[precision] * 2
    blocks = [run.block((4, 99, 1), (i, 1, 0), given, [16, 16, 36, 64, 2, whole, tiles], numbers=False) for i in range(3)]
    return Multiprocessor(blocks[0].ins, [prepare(b) for b in blocks], 3, 100).run().cycles


def main(precisions):
    bad = False
    for precision in precisions or ["bf16", "tf32"]:
        for sizes in SIZES:
            began = time.time()
            run, got, want = check(precision, *sizes)
            off = np.abs(got - want).max() / np.abs(want).max()
            bad |= not off <= TOLERANCE[precision] or bool(run.faults)
            print(f"{precision} {sizes}: off by {off:.1e} {dict(run.faults)} ({time.time() - began:.0f} s)", flush=True)
        short, long = {"bf16": (1, 3), "tf32": (2, 5)}[precision]
        first, second = cycles(precision, short), cycles(precision, long)
        tile = (second - first) / (long - short)
        each = -(-256 * 36 // ROWS[precision] * 2 // 99)
        print(f"{precision}: {(first + (each - short) * tile) / CLOCK * 1e6:,.0f} us, {tile:,.0f} cycles for a tile of each of three blocks", flush=True)
    sys.exit(bad)


if __name__ == "__main__":
    main(sys.argv[1:])
