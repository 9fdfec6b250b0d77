"""A search of 8 draws beside a loop in PyTorch that trains the same 8 models one after another, in one run.

    python benches/search.py --striate target/release/striate [--threads 2] [--steps 60] [--out FILE.json]

Both train, on a simulated population of 100 neurons (24 x 24 pixels, 2,400 images), 8 settings of the penalties for so many steps
of 64 images, score the validation images every 20 steps, and score the test images at the end. striate also reads the recording, writes each
run with what resuming needs, and its tables; once with one fit at a time on all threads, once with as many fits as threads. PyTorch takes the
faster of two layouts of its maps, found beforehand and not counted.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent / "peers"))

import numpy as np
import torch

from model import Config, Twin

BATCH, EVERY, DRAWS = 64, 20, 8
SMOOTHNESS = [0.0001 * 2**k for k in range(DRAWS)]
CORE = dict(filter_sizes=[11, 5, 5], features=[8, 8, 8])


def arguments():
    p = argparse.ArgumentParser(description="a search beside a loop in PyTorch")
    p.add_argument("--striate", default="target/release/striate")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--steps", type=int, default=60)
    p.add_argument("--out", type=Path)
    return p.parse_args()


def striate(args, folder, jobs):
    """Seconds of a search."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
    command = [Path(args.striate).resolve(), "search", "search.toml", "--out", f"jobs-{jobs}", "--jobs", str(jobs)]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def write_search(args, folder):
    (folder / "base.toml").write_text(
        f"""recordings = ["sim"]
[core]
filter_sizes = {CORE["filter_sizes"]}
features = {CORE["features"]}
[training]
batch_size = {BATCH}
max_steps = {args.steps}
validate_every = {EVERY}
patience = 1000
"""
    )
    (folder / "search.toml").write_text(f'base = "base.toml"\n[grid]\n"penalties.smoothness" = {SMOOTHNESS}\n')


def recording(folder):
    """z-scored images and responses over their SD, by tier."""
    images = np.load(folder / "sim/images.npy").astype(np.float32)
    responses = np.load(folder / "sim/responses.npy").astype(np.float32)
    rows = [line.split(",") for line in (folder / "sim/trials.csv").read_text().splitlines()]
    image, tier = rows[0].index("image"), rows[0].index("tier")
    tiers = {}
    for row, trial in enumerate(rows[1:]):
        tiers.setdefault(trial[tier], []).append((int(trial[image]), row))
    train = np.array(tiers["train"])
    images = (images - images[train[:, 0]].mean()) / images[train[:, 0]].std()
    responses = np.maximum(responses, 0) / responses[train[:, 1]].std(0)
    pick = lambda of: (torch.tensor(images[of[:, 0]])[:, None], torch.tensor(responses[of[:, 1]]))
    return {name: pick(np.array(of)) for name, of in tiers.items()}


def fit(data, steps, smoothness, layout):
    """One model: steps, validations, test scores. Returns the seconds of a step, all counted."""
    started = time.perf_counter()
    images, responses = data["train"]
    height, width = images.shape[2:]
    twin = Twin(Config(smoothness=smoothness, **CORE), {"r": (responses.shape[1], height, width)})
    twin.core.layout = layout
    optimiser = twin.optimiser()
    images = images.to(memory_format=layout)
    order = torch.randperm(len(images))
    for step in range(steps):
        rows = order[torch.arange(step * BATCH, (step + 1) * BATCH) % len(order)]
        optimiser.zero_grad(set_to_none=True)
        twin.loss(images[rows].contiguous(memory_format=layout), responses[rows]).backward()
        optimiser.step()
        if (step + 1) % EVERY == 0:
            score(twin, data["validation"])
    score(twin, data["test"])
    return (time.perf_counter() - started) / steps


@torch.no_grad()
def score(twin, data):
    twin.eval()
    images, responses = data
    predicted = torch.cat([twin.predict("r", part[:, 0]) for part in images.split(BATCH)])
    both = [v - v.mean(0) for v in (predicted, responses)]
    correlation = (both[0] * both[1]).sum(0) / (both[0].norm(dim=0) * both[1].norm(dim=0))
    twin.train()
    return correlation.mean()


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        simulate = "simulate --out sim --neurons 100 --train 2000 --validation 200 --height 24 --width 24 --reliability 0.8"
        subprocess.run([Path(args.striate).resolve(), *simulate.split()], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        write_search(args, folder)
        data = recording(folder)
        layouts = [torch.contiguous_format, torch.channels_last]
        layout = min(layouts, key=lambda layout: fit(data, 3, SMOOTHNESS[0], layout))
        ours = {jobs: striate(args, folder, jobs) for jobs in (1, args.threads)}
        print(*(f"striate, {jobs} fits at a time: {seconds:.1f} s" for jobs, seconds in ours.items()), sep="\n", flush=True)
        started = time.perf_counter()
        for smoothness in SMOOTHNESS:
            fit(data, args.steps, smoothness, layout)
        theirs = time.perf_counter() - started
    print(f"PyTorch {torch.__version__} ({layout}), one after another: {theirs:.1f} s")
    ratios = {jobs: theirs / seconds for jobs, seconds in ours.items()}
    print(*(f"{jobs} fits at a time: {ratio:.2f} times as fast" for jobs, ratio in ratios.items()), sep="\n")
    if args.out:
        report = {
            "draws": DRAWS, "steps": args.steps, "threads": args.threads, "striate_seconds": ours, "pytorch_seconds": theirs,
            "pytorch": torch.__version__, "ratios": ratios,
        }  # fmt: skip
        args.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
