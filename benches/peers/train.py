"""Speed of the PyTorch peer on the standard model: filters 13/5/5, 16 features x 8 orientations, SAME padding.

    python benches/peers/train.py --device cpu --threads 2 --batch 32 --neurons 500 --mode train --json

A training step is filter bank, forward pass, Poisson loss, three penalties, backward pass and Adam. Prediction has its
filter bank, normalisation and masks calculated beforehand. Where a choice is not made on the command line (layout of the
maps, order of contraction in the readout), every plausible one runs and the best is reported.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import time

sys.dont_write_bytecode = True

import torch

from model import Config, Predictor, Twin


def arguments():
    p = argparse.ArgumentParser(description="PyTorch peer: steps and images per second")
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--mode", choices=["train", "predict"], default="train")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--neurons", type=int, default=500)
    p.add_argument("--height", type=int, default=36)
    p.add_argument("--width", type=int, default=64)
    p.add_argument("--threads", type=int, default=2, help="CPU threads")
    p.add_argument("--steps", type=int, default=5, help="timed steps of each variant")
    p.add_argument("--warmup", type=int, default=1, help="untimed steps of each variant")
    p.add_argument("--dtype", choices=["f32", "tf32", "bf16"], default="f32", help="bf16: autocast, master weights f32")
    p.add_argument("--compile", nargs="?", const="default", metavar="MODE", help="torch.compile, with its mode")
    p.add_argument("--channels-last", action=argparse.BooleanOptionalAction, help="default: both")
    p.add_argument("--readout", choices=["mask", "features"], help="what is contracted first; default: both")
    p.add_argument("--json", action="store_true", help="JSON on standard output")
    return p.parse_args()


def prepare(args, last, order):
    """One step of this variant, as a function of the step's number."""
    torch.manual_seed(1)
    device = torch.device(args.device)
    layout = torch.channels_last if last else torch.contiguous_format
    maps = {"r": (args.neurons, args.height, args.width)}
    twin = Twin(Config(), maps, order=order).to(device)
    twin.core.layout = layout
    batches = []
    for _ in range(4):
        images = torch.randn(args.batch, 1, args.height, args.width).to(device, memory_format=layout)
        batches.append((images, torch.rand(args.batch, args.neurons).exponential_().to(device)))
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=args.dtype == "bf16")

    if args.mode == "predict":
        twin.eval()
        with autocast:
            predictor = Predictor(twin, "r", last)
        call = torch.compile(predictor.__call__, mode=args.compile) if args.compile else predictor

        def predict(step):
            with torch.no_grad(), autocast:
                return call(batches[step % 4][0])

        return predict

    twin.train()
    optimiser = torch.optim.Adam(twin.parameters(), lr=0.002, fused=True)

    def loss(images, responses):
        return sum(twin.losses({"r": (images, responses)}).values())

    call = torch.compile(loss, mode=args.compile) if args.compile else loss

    def train(step):
        optimiser.zero_grad(set_to_none=True)
        with autocast:
            total = call(*batches[step % 4])
        total.backward()
        optimiser.step()
        return total

    return train


def measure(args, last, order):
    step = prepare(args, last, order)
    wait = torch.cuda.synchronize if args.device.startswith("cuda") else lambda: None
    for s in range(args.warmup):
        result = step(s)
    wait()
    seconds, busy = [], []
    for s in range(args.steps):
        start, cpu = time.perf_counter(), time.process_time()
        result = step(s)
        wait()
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - cpu)
    if not result.isfinite().all():
        sys.exit("peer: the result is not finite")
    best, median = min(seconds), statistics.median(seconds)
    return {
        "channels_last": last,
        "readout_first": order,
        "best_seconds": best,
        "median_seconds": median,
        "median_cpu_seconds": statistics.median(busy),  # all threads: below threads * seconds, others had the cores
        "best_steps_per_second": 1 / best,
        "median_steps_per_second": 1 / median,
        "best_images_per_second": args.batch / best,
        "median_images_per_second": args.batch / median,
    }


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.dtype == "tf32"
    layouts = [False, True] if args.channels_last is None else [args.channels_last]
    orders = ["mask", "features"] if args.readout is None else [args.readout]
    load = os.getloadavg()[0]
    variants = []
    for last, order in itertools.product(layouts, orders):
        variants.append(measure(args, last, order))
        v = variants[-1]
        print(
            f"channels last {last!s:5}  {order:8} first  best {v['best_images_per_second']:8.1f} images/s"
            f"  median {v['median_images_per_second']:8.1f}",
            file=sys.stderr,
        )
        if args.compile:
            torch._dynamo.reset()
    best = min(variants, key=lambda v: v["median_seconds"])
    cuda = args.device.startswith("cuda")
    report = {
        "peer": f"PyTorch {torch.__version__}",
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "capability": None if cuda else torch.backends.cpu.get_cpu_capability(),
        **{k: getattr(args, k) for k in ("mode", "batch", "neurons", "height", "width", "threads", "steps", "warmup")},
        "dtype": args.dtype,
        "compile": args.compile,
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "best": best,
        "variants": variants,
    }
    print(json.dumps(report, indent=2)) if args.json else print(f"{best['median_images_per_second']:.1f} images/s")


if __name__ == "__main__":
    main()
