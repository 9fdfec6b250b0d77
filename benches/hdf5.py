#!/usr/bin/env python3
"""How fast `striate import hdf5` is beside h5py: the same file to the same arrays on the disk.

    pip install h5py numpy
    cargo build --release && python benches/hdf5.py [trials neurons]

h5py reads images and responses block by block and NumPy writes them as .npy: the arrays of a recording, without finding
identical images, checking responses or splitting. Each way runs three times; the shortest counts. The goal is 80 % of h5py's speed.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

STRIATE = Path(__file__).parent.parent / "target/release/striate"
TRIALS, NEURONS = (int(a) for a in (sys.argv[1:3] or ["6000", "8000"]))
SIZE = (36, 64)


def make(path, name, **storage):
    random = np.random.default_rng(1)
    with h5py.File(path, "w") as f:
        f.create_dataset("images", data=random.integers(0, 256, (TRIALS, *SIZE), np.uint8), **storage)
        responses = f.create_dataset("responses", (TRIALS, NEURONS), np.float32, **storage)
        for first in range(0, TRIALS, 500):
            rows = min(500, TRIALS - first)
            responses[first : first + rows] = np.round(random.gamma(1, 1, (rows, NEURONS)), 2)


def by_h5py(path, out):
    out.mkdir()
    with h5py.File(path) as f:
        for name in ["images", "responses"]:
            data = f[name]
            array = np.lib.format.open_memmap(out / f"{name}.npy", "w+", data.dtype, data.shape)
            step = 512 if data.chunks is None else max(1, 512 // data.chunks[0]) * data.chunks[0]
            for first in range(0, len(data), step):
                array[first : first + step] = data[first : first + step]
            array.flush()


def by_striate(path, out):
    subprocess.run([STRIATE, "import", "hdf5", path, "--out", out], check=True, capture_output=True)


def shortest(run, path, folder):
    times = []
    for repeat in range(3):
        started = time.perf_counter()
        run(path, folder / f"{run.__name__}-{repeat}")
        times.append(time.perf_counter() - started)
    return min(times)


print(f"{TRIALS} trials, {NEURONS} neurons, images {SIZE[0]} x {SIZE[1]}")
for name, storage in [
    ("contiguous", {}),
    ("chunked", {"chunks": True}),
    ("gzip", {"compression": "gzip"}),
    ("gzip, shuffled", {"compression": "gzip", "shuffle": True}),
    ("lzf", {"compression": "lzf"}),
]:
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        path = folder / "file.h5"
        make(path, name, **storage)
        path.read_bytes()
        h5py_s, striate_s = (shortest(run, path, folder) for run in [by_h5py, by_striate])
        print(f"{name:15} h5py {h5py_s:6.2f} s, striate {striate_s:6.2f} s, speed {h5py_s / striate_s:.0%} of h5py's")
