"""Speed of the PyTorch peer on most exciting images: one neuron at a time, its starts in parallel, on whole images.

    python benches/peers/mei.py --device cpu --threads 2 --neurons 2 --steps 20 --json
    python benches/peers/mei.py --run runs/mouse --rows 0,17 --steps 2000 --patience 100 --out meis.npy

Recipe of Ecker et al. 2019: x = norm z / |z|, loss = -rate + s sum (L * x)^2, the gradient at x damped in the Fourier
domain, Adam on z. Filters with their normalisation folded in are calculated beforehand, and only the one neuron's mask
and features are read out. Without --run the model is the standard one with random weights.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
import tomllib

sys.dont_write_bytecode = True

import numpy as np
import torch
import torch.nn.functional as F

from model import Config, Predictor, Twin, softplus


def arguments():
    p = argparse.ArgumentParser(description="PyTorch peer: seconds per most exciting image")
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--threads", type=int, default=2, help="CPU threads")
    p.add_argument("--run", help="a run directory; default: the standard model, random weights")
    p.add_argument("--readout", help="where the run has several")
    p.add_argument("--neurons", type=int, default=2, help="number of neurons, one after another")
    p.add_argument("--rows", help="or these rows of the readout, as in 0,17,3")
    p.add_argument("--starts", type=int, default=8)
    p.add_argument("--steps", type=int, default=20, help="most steps")
    p.add_argument("--patience", type=int, help="stop as the recipe does (100); default: all steps")
    p.add_argument("--norm", type=float, default=12.0)
    p.add_argument("--smoothness", type=float, default=0.005)
    p.add_argument("--height", type=int, default=36, help="without --run")
    p.add_argument("--width", type=int, default=64, help="without --run")
    p.add_argument("--warmup", type=int, default=2, help="untimed steps")
    p.add_argument("--dtype", choices=["f32", "tf32", "bf16"], default="f32", help="of products on a card; bf16: as tf32, since sums over an image drown in it")
    p.add_argument("--channels-last", action="store_true")
    p.add_argument("--out", metavar="MEIS.npy", help="best image of each neuron (n, H, W)")
    p.add_argument("--json", action="store_true", help="JSON on standard output")
    return p.parse_args()


def safetensors(path):
    """Arrays of a .safetensors file of 32-bit floats, by name."""
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            assert entry["dtype"] == "F32", (name, entry)
            begin, end = entry["data_offsets"]
            tensors[name] = torch.from_numpy(np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).copy())
    return tensors


def opened(args):
    """(twin, readout's name, image size) of a run, or of the standard model."""
    if args.run is None:
        torch.manual_seed(1)
        twin = Twin(Config(), {"r": (max(args.neurons, 1), args.height, args.width)})
        return twin.eval(), "r", (args.height, args.width)
    with open(os.path.join(args.run, "config.toml"), "rb") as f:
        settings = tomllib.load(f)
    known = Config.__dataclass_fields__
    readout = {k: v for k, v in settings.get("readout", {}).items() if k != "kind"}
    config = Config(**{k: v for k, v in (settings.get("core", {}) | readout).items() if k in known})
    tensors = safetensors(os.path.join(args.run, "model.safetensors"))
    masks = {n.split(".", 1)[1].rsplit(".", 1)[0]: t.shape for n, t in tensors.items() if n.endswith(".mask")}
    cut = 0 if config.padding == "same" else sum(k - 1 for k in config.filter_sizes)
    maps = {name: (n, h + cut, w + cut) for name, (n, h, w) in masks.items()}
    twin = Twin(config, maps)
    # Module names have no dots; those of readouts may.
    twin.load(tensors)
    name = args.readout or next(iter(maps))
    return twin.eval(), name, maps[name][1:]


class Climb:
    """The starts of one neuron."""

    def __init__(self, args, predictor, neuron, size):
        self.args, self.layers = args, predictor.layers
        self.readout = predictor.readout
        mask, features = predictor.weights
        self.mask, self.features = mask[neuron], features[neuron]
        self.bias = self.readout.bias[neuron].detach()
        device = self.mask.device
        fi, fj = (torch.minimum(torch.arange(n), n - torch.arange(n)).double() for n in size)
        t = 1 / torch.clamp((fi[:, None] ** 2 + fj[None, :] ** 2) ** 0.25, min=1)
        self.transfer = (t / t.mean())[:, : size[1] // 2 + 1].float().to(device)
        kernel = torch.tensor([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]], device=device)
        self.laplacian = kernel[None, None]
        self.z = torch.randn(args.starts, 1, *size, device=device).requires_grad_()
        self.optimiser = torch.optim.Adam([self.z], lr=1.0)
        self.average = self.lowest = self.best = None
        self.since = 0

    def rates(self, x):
        for l, (filters, bias, padding) in enumerate(self.layers):
            x = F.conv2d(x, filters, bias, padding=padding)
            if l + 1 < len(self.layers):
                x = softplus(x)
        return self.readout.nonlinearity(x.flatten(2) @ self.mask @ self.features + self.bias)

    def step(self):
        """One step; whether the recipe would stop."""
        norm = self.args.norm
        length = self.z.detach().flatten(1).norm(dim=1)[:, None, None, None]
        unit = self.z.detach() / length
        x = (norm * unit).requires_grad_()
        rates = self.rates(x)
        rough = F.conv2d(x, self.laplacian, padding=1).square().sum((1, 2, 3))
        losses = self.args.smoothness * rough - rates
        (gradient,) = torch.autograd.grad(losses.sum(), x)
        gradient = torch.fft.irfft2(torch.fft.rfft2(gradient) * self.transfer, s=gradient.shape[-2:])
        along = (gradient * unit).sum((1, 2, 3), keepdim=True)
        self.z.grad = norm / length * (gradient - unit * along)
        self.optimiser.step()
        if self.args.patience is None:
            return False
        loss = losses.detach().sum().item()
        self.average = loss if self.average is None else 0.9 * self.average + 0.1 * loss
        if self.lowest is None or self.average < self.lowest:
            self.lowest, self.since = self.average, 0
        else:
            self.since += 1
        return self.since >= self.args.patience

    @torch.no_grad()
    def result(self):
        """(image, response) of the best start."""
        x = self.args.norm * self.z / self.z.flatten(1).norm(dim=1)[:, None, None, None]
        rates = self.rates(x)
        best = rates.argmax()
        return x[best, 0].cpu().numpy(), rates[best].item()


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.dtype != "f32"
    device = torch.device(args.device)
    cuda = device.type == "cuda"
    wait = torch.cuda.synchronize if cuda else lambda: None
    twin, name, size = opened(args)
    predictor = Predictor(twin.to(device), name, args.channels_last)
    rows = [int(r) for r in args.rows.split(",")] if args.rows else list(range(args.neurons))
    load = os.getloadavg()[0]
    warm = Climb(args, predictor, rows[0], size)
    for _ in range(args.warmup):
        warm.step()
    wait()
    seconds, steps, images, responses = [], [], [], []
    for row in rows:
        torch.manual_seed(row)
        start = time.perf_counter()
        climb = Climb(args, predictor, row, size)
        taken = 0
        while taken < args.steps:
            taken += 1
            if climb.step():
                break
        image, rate = climb.result()
        wait()
        seconds.append(time.perf_counter() - start)
        steps.append(taken)
        images.append(image)
        responses.append(rate * predictor.readout.response_scale[row].item())
        print(f"neuron {row}: {taken} steps, {seconds[-1]:.2f} s, response {responses[-1]:.5f}", file=sys.stderr)
        if not math.isfinite(rate):
            sys.exit("peer: the response is not finite")
    if args.out:
        np.save(args.out, np.stack(images).astype("<f4"))
    per_step = [s / n for s, n in zip(seconds, steps)]
    report = {
        "peer": f"PyTorch {torch.__version__}",
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "height": size[0],
        "width": size[1],
        "rows": rows,
        "starts": args.starts,
        "steps": steps,
        "threads": args.threads,
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "seconds_per_mei": statistics.mean(seconds),
        "median_seconds_per_step": statistics.median(per_step),
        "image_steps_per_second": args.starts / statistics.median(per_step),
        "responses": responses,
    }
    print(json.dumps(report, indent=2) if args.json else f"{report['seconds_per_mei']:.2f} s per image")


if __name__ == "__main__":
    main()
