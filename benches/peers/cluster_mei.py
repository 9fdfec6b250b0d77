"""Speed of the PyTorch peer on images that clusters share: one cluster at a time, all its members and starts in one batch.

    python benches/peers/cluster_mei.py --device cpu --threads 2 --clusters 2 --members 10 --steps 10 --json

A template of steerable functions (13 ranks on 27 x 27 pixels) is turned by each member's angle and placed where the member looks;
mean rate minus roughness, at a norm of 12; Adam on coefficients and angles, both by autograd. Filters with their normalisation
folded in are calculated beforehand. Members of cluster k are neurons k, k + K, ..
"""

import argparse
import json
import math
import statistics
import sys
import time

sys.dont_write_bytecode = True

import torch
import torch.nn.functional as F

from mei import opened
from model import UPSAMPLING, Predictor, angular_orders, laguerre, softplus


def arguments():
    p = argparse.ArgumentParser(description="PyTorch peer: seconds per step of an image that a cluster shares")
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--threads", type=int, default=2, help="CPU threads")
    p.add_argument("--run", help="a run directory; default: the standard model, random weights")
    p.add_argument("--readout", help="where the run has several")
    p.add_argument("--clusters", type=int, default=2, help="how many are timed")
    p.add_argument("--members", type=int, default=10)
    p.add_argument("--starts", type=int, default=3)
    p.add_argument("--angles", type=int, default=24)
    p.add_argument("--steps", type=int, default=10)
    p.add_argument("--warmup", type=int, default=2, help="untimed steps")
    p.add_argument("--ranks", type=int, default=13)
    p.add_argument("--width", type=int, default=27)
    p.add_argument("--norm", type=float, default=12.0)
    p.add_argument("--smoothness", type=float, default=0.005)
    p.add_argument("--dtype", choices=["f32", "tf32", "bf16"], default="f32", help="of products on a card; bf16: as tf32")
    p.add_argument("--json", action="store_true", help="JSON on standard output")
    a = p.parse_args()
    # What `opened` asks for without a run.
    a.neurons, a.height, a.width_of_images = a.clusters * a.members, 36, 64
    return a


def basis(ranks, width):
    """(M, width^2) functions and their angular orders and kinds."""
    n = width * UPSAMPLING
    half = 2 * math.sqrt(ranks)
    t = -half + (2 * half / n) * (torch.arange(n, dtype=torch.float64) + 0.5)
    y, x = t[:, None].expand(n, n), t[None, :].expand(n, n)
    r2, theta = x * x + y * y, torch.atan2(y, x)
    functions = []
    for mu, nu, kind in angular_orders(ranks):
        radial = (-1) ** nu * r2 ** (mu / 2) * laguerre(nu, mu, r2 / 2) * torch.exp(-r2 / 4)
        values = radial * {"z": 1.0, "r": torch.cos(mu * theta), "i": torch.sin(mu * theta)}[kind]
        small = (values / values.norm()).reshape(width, UPSAMPLING, width, UPSAMPLING).sum((1, 3))
        functions.append(small.flatten())
    return torch.stack(functions).float()


class Cluster:
    """All starts of one cluster."""

    def __init__(self, args, predictor, functions, rows, size):
        self.args, self.layers, self.size = args, predictor.layers, size
        device = predictor.weights[0].device
        self.functions = functions.to(device)
        orders = angular_orders(args.ranks)
        self.orders = torch.tensor([float(mu) for mu, _, _ in orders], device=device)
        partner = [j + 1 if k == "r" else j - 1 if k == "i" else j for j, (_, _, k) in enumerate(orders)]
        self.partner = torch.tensor(partner, device=device)
        self.sign = torch.tensor([{"z": 0.0, "r": 1.0, "i": -1.0}[k] for _, _, k in orders], device=device)
        mask, features = predictor.weights
        self.mask, self.features = mask[rows], features[rows]
        self.bias = predictor.readout.bias[rows].detach()
        self.nonlinearity = predictor.readout.nonlinearity
        centre = self.mask.abs().argmax(1)
        self.places = torch.stack([centre // size[1], centre % size[1]], 1).tolist()
        shape = (args.starts, len(rows))
        self.coefficients = torch.randn(args.starts, len(orders), device=device).requires_grad_()
        self.angles = (2 * math.pi * torch.rand(shape, device=device)).requires_grad_()
        self.optimiser = torch.optim.Adam([self.coefficients, self.angles], lr=0.05)
        kernel = torch.tensor([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]], device=device)
        self.laplacian = kernel[None, None]

    def rates(self, coefficients, angles):
        """(starts, members) of templates (starts, M) turned by angles (starts, members)."""
        turns = self.orders * angles[..., None]
        turned = torch.cos(turns) * coefficients[:, None] + self.sign * torch.sin(turns) * coefficients[:, None, self.partner]
        k, (h, w) = self.args.width, self.size
        patches = (turned @ self.functions).unflatten(-1, (k, k))
        # On a canvas with room around, of which the image is cut out.
        images = []
        for member, (row, column) in enumerate(self.places):
            top, left = row - k // 2, column - k // 2
            images.append(F.pad(patches[:, member], (left, w - left - k, top, h - top - k)))
        x = torch.stack(images, 1).reshape(-1, 1, h, w)
        for l, (filters, bias, padding) in enumerate(self.layers):
            x = F.conv2d(x, filters, bias, padding=padding)
            if l + 1 < len(self.layers):
                x = softplus(x)
        maps = x.flatten(2).unflatten(0, (self.args.starts, -1))
        drive = torch.einsum("smcp,mp,mc->sm", maps, self.mask, self.features)
        return self.nonlinearity(drive + self.bias)

    def template(self):
        patches = self.coefficients @ self.functions
        return self.coefficients * (self.args.norm / patches.norm(dim=1, keepdim=True))

    def step(self):
        self.optimiser.zero_grad()
        template = self.template()
        k = self.args.width
        patches = (template @ self.functions).reshape(-1, 1, k, k)
        rough = F.conv2d(patches, self.laplacian, padding=2).square().sum((1, 2, 3))
        loss = self.args.smoothness * rough.sum() - self.rates(template, self.angles).mean(1).sum()
        loss.backward()
        self.optimiser.step()
        return loss.item()

    @torch.no_grad()
    def circle(self):
        """Every member's best of all angles."""
        template, best = self.template(), None
        for i in range(self.args.angles):
            rates = self.rates(template, self.angles + 2 * math.pi * i / self.args.angles)
            best = rates if best is None else torch.maximum(best, rates)
        return best


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.dtype != "f32"
    device = torch.device(args.device)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    ranks, width = args.ranks, args.width
    args.width = args.width_of_images
    twin, name, size = opened(args)
    args.width = width
    predictor = Predictor(twin.to(device), name)
    functions = basis(ranks, width)
    neurons = predictor.weights[0].shape[0]
    count = max(neurons // args.members, 1)
    per_step, circles, losses = [], [], []
    for k in range(min(args.clusters, count)):
        torch.manual_seed(k)
        rows = list(range(k, neurons, count))[: args.members]
        cluster = Cluster(args, predictor, functions, rows, size)
        for _ in range(args.warmup):
            cluster.step()
        wait()
        start = time.perf_counter()
        cluster.circle()
        wait()
        circles.append(time.perf_counter() - start)
        for _ in range(args.steps):
            start = time.perf_counter()
            loss = cluster.step()
            wait()
            per_step.append(time.perf_counter() - start)
        losses.append(loss)
        if not math.isfinite(loss):
            sys.exit("peer: the loss is not finite")
    report = {
        "peer": f"PyTorch {torch.__version__}",
        "members": args.members,
        "starts": args.starts,
        "median_seconds_per_step": statistics.median(per_step),
        "seconds_per_circle": statistics.median(circles),
        "losses": losses,
    }
    print(json.dumps(report, indent=2) if args.json else f"{report['median_seconds_per_step']:.4f} s per step")


if __name__ == "__main__":
    main()
