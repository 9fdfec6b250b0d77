"""What imports are measured against: a loop of numpy.load over a scan's files, and scipy.io.loadmat.

numpy 2.4.6, scipy 1.17.1.

    python imports.py make FOLDER      a scan of 8,000 neurons x 6,000 trials (1.1 GB), and a natimg2800 session with its images
    python imports.py measure FOLDER STRIATE   the best of three runs each, on a warm cache

Of MATLAB files the peer writes the arrays of a recording, trial by trial and image by image, as the import does, without finding
identical images, checking responses or splitting.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import scipy.io

TRIALS, NEURONS, TESTS = 6000, 8000, 100


def make(folder):
    rng = np.random.default_rng(0)
    for part in ["data/images", "data/responses", "meta/trials"]:
        (folder / "scan" / part).mkdir(parents=True, exist_ok=True)
    base = rng.integers(0, 256, size=(1, 144, 256)).astype("float32")
    for trial in range(TRIALS):
        shown = trial // 10 if trial < TESTS else trial
        image = np.roll(base, shown * 37)
        image[0, 0, :2] = shown % 251, shown // 251
        np.save(folder / f"scan/data/images/{trial}.npy", image)
        np.save(folder / f"scan/data/responses/{trial}.npy", rng.random(NEURONS, dtype="float32"))
    tiers = ["test"] * TESTS + ["validation"] * 500 + ["train"] * (TRIALS - TESTS - 500)
    np.save(folder / "scan/meta/trials/tiers.npy", np.array(tiers))
    order = np.concatenate([rng.permutation(2801) + 1, rng.permutation(2801) + 1, np.full(278, 2801)]).astype("float64")
    resp = rng.gamma(0.3, 1.0, size=(len(order), 4000)).astype("float32")
    resp[resp < 0.5] = 0
    images = rng.integers(0, 256, size=(34, 135, 2800)).astype("uint8").repeat(2, 0).repeat(2, 1)
    for name, packed in [("plain", False), ("compressed", True)]:
        stim = {"resp": resp, "istim": order[:, None], "spont": resp[:500]}
        scipy.io.savemat(folder / f"session-{name}.mat", {"stim": stim}, do_compression=packed)
        scipy.io.savemat(folder / f"images-{name}.mat", {"imgs": images}, do_compression=packed)


def best(work):
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(folder, striate):
    def load():
        for trial in range(TRIALS):
            for part in ["images", "responses"]:
                np.load(folder / f"scan/data/{part}/{trial}.npy")

    def imported(*words):
        subprocess.run([striate, "import", *words, "--dry-run"], check=True, cwd=folder, capture_output=True)

    def written(*words):
        subprocess.run(["rm", "-rf", folder / "out"], check=True)
        subprocess.run([striate, "import", *words, "--out", "out"], check=True, cwd=folder, capture_output=True)

    rescaled = ["sensorium", "scan", "--rescale", "0.25"]
    print(f"scan: numpy.load {best(load):.2f} s, import {best(lambda: written('sensorium', 'scan')):.2f} s, "
          f"with --rescale 0.25 {best(lambda: written(*rescaled)):.2f} s, read only {best(lambda: imported('sensorium', 'scan')):.2f} s")
    for name in ["plain", "compressed"]:
        files = [folder / f"session-{name}.mat", folder / f"images-{name}.mat"]

        def by_scipy():
            session, images = (scipy.io.loadmat(file) for file in files)
            shown = session["stim"]["istim"][0, 0].ravel() != 2801
            np.save(folder / "responses.npy", np.ascontiguousarray(session["stim"]["resp"][0, 0][shown]))
            np.save(folder / "images.npy", np.ascontiguousarray(np.moveaxis(images["imgs"], -1, 0)))

        peer = best(by_scipy)
        words = ["stringer", files[0].name, "--images", files[1].name]
        print(f"natimg2800, {name}: scipy.io.loadmat and numpy.save {peer:.2f} s, import {best(lambda: written(*words)):.2f} s, "
              f"read only {best(lambda: imported(*words)):.2f} s")


if sys.argv[1] == "make":
    make(Path(sys.argv[2]))
else:
    measure(Path(sys.argv[2]).resolve(), sys.argv[3])
