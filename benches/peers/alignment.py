"""Steps of the published alignment in PyTorch, timed; benches/alignment.rs writes the arrays and reads the JSON.

    python alignment.py FOLDER --penalty 1.5 --steps 20 --threads 2 --json

FOLDER holds codes.npy (N, F, O) and logits.npy (N), float32. As the authors wrote it: all rolls of every code once, their
weighted sum at each step, squared distances over all pairs in closed form, the reconstruction over all neurons, gradients
by autograd, Adam. The authors' float64, and float32 beside it.
"""

import argparse
import json
import math
import pathlib
import time

import numpy as np
import torch

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--penalty", type=float, required=True)
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--json", action="store_true")
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
codes, logits = (np.load(arguments.folder / f"{name}.npy") for name in ("codes", "logits"))


def fit(dtype):
    v = torch.tensor(codes, dtype=dtype)
    n, f, o = v.shape
    rolls = torch.stack([torch.roll(v, i, dims=2).reshape(n, f * o) for i in range(o)], dim=1)
    flat = v.reshape(n, f * o)
    steps = torch.arange(o, dtype=dtype) * (2 * math.pi / o)
    a = torch.tensor(logits, dtype=dtype, requires_grad=True)
    t = torch.zeros((), dtype=dtype, requires_grad=True)
    optimiser = torch.optim.Adam([a, t], lr=0.01)

    def shifted(angles):
        c = torch.softmax(torch.exp(t) * torch.cos(angles[:, None] - steps), dim=1)
        return torch.bmm(c[:, None, :].expand(n, 1, o), rolls)[:, 0]

    def loss():
        x = shifted(2 * math.pi * torch.sigmoid(a))
        energy = 2 / n * (x * x).sum() - 2 * (x.mean(0) ** 2).sum()
        still = shifted(torch.zeros(1, dtype=dtype))
        return energy + arguments.penalty * ((still - flat) ** 2).sum() / n

    def step():
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        return value.item()

    losses = [step() for _ in range(3)]
    started = time.perf_counter()
    losses += [step() for _ in range(arguments.steps)]
    seconds = (time.perf_counter() - started) / arguments.steps
    return {"name": str(dtype).split(".")[1], "seconds_per_step": seconds, "losses": losses}


variants = [fit(torch.float64), fit(torch.float32)]
print(json.dumps({"version": torch.__version__, "variants": variants}))
