"""The machine code of kernels against float64, at odd sizes with partial tiles."""

import sys
import time

import numpy as np

import readout

# batch, channels, pixels, neurons
SIZES = {"bf16": [(12, 24, 100, 200), (70, 5, 104, 70)], "tf32": [(12, 24, 100, 200), (70, 5, 104, 70), (300, 2, 40, 30)]}
TOLERANCE = {"bf16": 8e-3, "tf32": 2e-3}


def main(wanted):
    bad = False
    for precision in ("tf32", "bf16"):
        for sizes in SIZES[precision]:
            for product in (readout.forward, readout.to_maps, readout.to_weights):
                if wanted and f"{product.__name__}.{precision}" not in wanted:
                    continue
                began = time.time()
                run, got, want = product(readout.Case(precision, *sizes))
                many = isinstance(got, list)
                off = max(difference(*pair) for pair in (zip(got, want) if many else [(got, want)]))
                wrong = not off <= TOLERANCE[precision] or bool(run.faults)
                bad |= wrong
                print(
                    f"{product.__name__} {precision} {sizes}: off by {off:.1e} {dict(run.faults)} ({time.time() - began:.0f} s)", flush=True
                )
    sys.exit(bad)


def difference(got, want):
    return np.abs(got - want).max() / np.abs(want).max()


if __name__ == "__main__":
    main(sys.argv[1:])
