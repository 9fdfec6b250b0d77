"""The machine code of kernels against float64, at odd sizes with partial tiles."""

import sys
import time

import numpy as np

import readout
import regions

# batch, channels, pixels, neurons
SIZES = {
    "bf16": [(12, 24, 100, 200), (70, 5, 104, 70)],
    "tf32": [(12, 24, 100, 200), (70, 5, 104, 70), (300, 2, 40, 30)],
    "f32": [(12, 24, 100, 200), (70, 5, 104, 70)],
}
# Of the forward pass: more spans than stages, part of a tile, an odd number of tiles, one channel, rows of more than one pass.
FORWARD = [(40, 1, 70, 70), (3, 100, 700, 200), (2, 128, 64, 400), (2, 300, 330, 30)]
# Those that see a third, two thirds, all of a patch of the map, the lower two thirds, the lowest.
THIRDS = [(0, 0, 4, 3), (2, 0, 6, 3), (1, 1, 10, 3), (5, 2, 7, 3), (9, 1, 3, 3)]
# batch, channels, map, neurons, largest window or all of them
WINDOWS = [
    (9, 5, (9, 11), 200, 9),
    (140, 4, (10, 14), 70, 8),
    (3, 18, (26, 40), 30, 20),
    (2, 3, (12, 8), 360, THIRDS),
    (2, 3, (8, 8), 5, [(0, 0, 8, 8)]),  # a span without a chunk to spare
    (260, 2, (3, 5), 9, 4),  # more images than dh of which stays in shared memory
]
TOLERANCE = {"bf16": 8e-3, "tf32": 2e-3, "f32": 2e-6}


def cases():
    """Name, sizes, and what runs it."""
    for precision in SIZES:
        for product in (readout.forward, readout.to_maps, readout.to_weights):
            more = FORWARD if product is readout.forward and precision != "f32" else []
            for sizes in SIZES[precision] + more:
                yield f"{product.__name__}.{precision}", sizes, lambda p=product, s=sizes, of=precision: p(readout.Case(of, *s))
    for precision in ("bf16", "tf32"):
        sizes, windows = (2, 3, (8, 8)), [(0, 0, 8, 8)] * 5
        case = lambda of=precision, s=sizes, w=windows: regions.not_a_number(regions.Case(of, *s, w))
        yield f"windows.not_a_number.{precision}", sizes, case
        for batch, channels, size, neurons, largest in WINDOWS:
            for product in (regions.forward, regions.to_maps, regions.to_weights):
                sizes, given = (batch, channels, size), (neurons, size, largest)
                case = lambda p=product, of=precision, s=sizes, w=given: p(regions.Case(of, *s, some_windows(*w)))
                yield f"windows.{product.__name__}.{precision}", (batch, channels, size, neurons), case


def main(wanted):
    bad = False
    for name, sizes, run_case in cases():
        if wanted and name not in wanted:
            continue
        began = time.time()
        run, got, want = run_case()
        many = isinstance(got, list)
        off = np.max([difference(*pair) for pair in (zip(got, want) if many else [(got, want)])])
        wrong = not off <= TOLERANCE[name.rsplit(".")[-1]] or bool(run.faults)
        bad |= wrong
        print(f"{name} {sizes}: off by {off:.1e} {dict(run.faults)} ({time.time() - began:.0f} s)", flush=True)
    sys.exit(bad)


def some_windows(neurons, size, largest):
    """Windows of any height and width up to the largest, anywhere; or as many of each of these."""
    if isinstance(largest, list):
        return [largest[n * len(largest) // neurons] for n in range(neurons)]
    draw, windows = np.random.default_rng(5).integers, []
    for _ in range(neurons):
        height, width = (int(draw(1, min(largest, s) + 1)) for s in size)
        windows.append((int(draw(size[0] - height + 1)), int(draw(size[1] - width + 1)), height, width))
    return windows


def difference(got, want):
    return np.abs(got - want).max() / np.abs(want).max()


if __name__ == "__main__":
    main(sys.argv[1:])
