"""Speed of the PyTorch peer on the standard model: filters 13/5/5, 16 features x 8 orientations, SAME padding; with --system on
the same core behind a Gaussian readout, or on Kindel et al.'s network.

    python benches/peers/train.py --device cpu --threads 2 --batch 32 --neurons 500 --mode train,predict --json

A training step is filter bank, forward pass, Poisson loss, three penalties, backward pass and Adam. Prediction has its
filter bank, normalisation and masks calculated beforehand. Where a choice is not made on the command line (layout of the
maps, order of contraction in the readout), every plausible one runs; with --compile the best of them runs again, compiled in
each of the modes. The fastest is reported. A variant that the memory is too small for, or that does not compile, is left out and
reported as failed.
"""

import argparse
import gc
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
from systems import Gaussian, Kindel


def arguments():
    p = argparse.ArgumentParser(description="PyTorch peer: steps and images per second")
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--mode", default="train", help="train, predict or train,predict")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--system", choices=["equivariant", "gaussian", "kindel"], default="equivariant")
    p.add_argument("--neurons", type=int, default=500)
    p.add_argument("--height", type=int, default=36)
    p.add_argument("--width", type=int, default=64)
    p.add_argument("--threads", type=int, default=2, help="CPU threads")
    p.add_argument("--blocks", type=int, default=5, help="timed blocks of steps of each variant")
    p.add_argument("--steps", type=int, default=1, help="steps of a block, awaited together")
    p.add_argument("--seconds", type=float, default=0.0, help="time at least so long, in more blocks if need be")
    p.add_argument("--warmup", type=int, default=1, help="untimed steps of each variant")
    p.add_argument("--dtype", choices=["f32", "tf32", "bf16"], default="f32", help="bf16: autocast, master weights f32")
    p.add_argument("--compile", default="", metavar="MODES", help="modes of torch.compile, as default,reduce-overhead")
    p.add_argument("--channels-last", action=argparse.BooleanOptionalAction, help="default: both")
    p.add_argument("--readout", choices=["mask", "features"], help="what is contracted first; default: both")
    p.add_argument("--json", action="store_true", help="JSON on standard output")
    return p.parse_args()


def prepare(args, mode, last, order, compiled):
    """One step of this variant, as a function of the step's number."""
    torch.manual_seed(1)
    device = torch.device(args.device)
    layout = torch.channels_last if last else torch.contiguous_format
    system = {
        "equivariant": lambda: Twin(Config(), {"r": (args.neurons, args.height, args.width)}, order=order),
        "gaussian": lambda: Gaussian(Config(), args.neurons),
        "kindel": lambda: Kindel(args.neurons, args.height, args.width),
    }[args.system]().to(device)
    if args.system == "kindel":
        system.convolutions.to(memory_format=layout)
    else:
        system.core.layout = layout
    batches = []
    for _ in range(4):
        images = torch.randn(args.batch, 1, args.height, args.width).to(device, memory_format=layout)
        batches.append((images, torch.rand(args.batch, args.neurons).exponential_().to(device)))
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=args.dtype == "bf16")

    if mode == "predict":
        system.eval()
        predictor = system
        if args.system == "equivariant":
            with autocast:
                predictor = Predictor(system, "r", last)
        call = torch.compile(predictor.__call__, mode=compiled) if compiled else predictor

        def predict(step):
            with torch.no_grad(), autocast:
                return call(batches[step % 4][0])

        return predict

    system.train()
    optimiser = system.optimiser()
    loss = system.loss

    call = torch.compile(loss, mode=compiled) if compiled else loss

    def train(step):
        optimiser.zero_grad(set_to_none=True)
        with autocast:
            total = call(*batches[step % 4])
        total.backward()
        optimiser.step()
        return total

    return train


def measure(args, mode, last, order, compiled):
    step = prepare(args, mode, last, order, compiled)
    wait = torch.cuda.synchronize if args.device.startswith("cuda") else lambda: None
    for s in range(args.warmup):
        result = step(s)
    wait()
    seconds, busy = [], []
    begin = time.perf_counter()
    while len(seconds) < args.blocks or time.perf_counter() - begin < args.seconds:
        start, cpu = time.perf_counter(), time.process_time()
        for s in range(args.steps):
            result = step(s)
        wait()
        seconds.append((time.perf_counter() - start) / args.steps)
        busy.append((time.process_time() - cpu) / args.steps)
    if not result.isfinite().all():
        raise ArithmeticError("the result is not finite")
    best, median = min(seconds), statistics.median(seconds)
    return {
        "best_seconds": best,
        "median_seconds": median,
        "median_cpu_seconds": statistics.median(busy),  # all threads: below threads * seconds, others had the cores
        "best_steps_per_second": 1 / best,
        "median_steps_per_second": 1 / median,
        "best_images_per_second": args.batch / best,
        "median_images_per_second": args.batch / median,
    }


def tried(args, mode, last, order, compiled):
    """What was measured, or how it failed."""
    variant = {"channels_last": last, "readout_first": order, "compiled": compiled}
    try:
        variant |= measure(args, mode, last, order, compiled)
        told = f"best {variant['best_images_per_second']:8.1f} images/s  median {variant['median_images_per_second']:8.1f}"
    except Exception as e:
        variant["failed"] = f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"
        told = variant["failed"]
    print(f"{mode:7}  channels last {last!s:5}  {order:8} first  {compiled or 'eager':15}  {told}", file=sys.stderr)
    # Memory of a variant is free for the next.
    gc.collect()
    if args.device.startswith("cuda"):
        torch.cuda.empty_cache()
    if compiled:
        torch._dynamo.reset()
    return variant


def fastest(variants):
    return min((v for v in variants if "failed" not in v), key=lambda v: v["median_seconds"], default=None)


def measured(args, mode):
    layouts = [False, True] if args.channels_last is None else [args.channels_last]
    orders = ["mask", "features"] if args.readout is None else [args.readout]
    if args.system != "equivariant":
        orders = ["features"]
    variants = [tried(args, mode, last, order, None) for last, order in itertools.product(layouts, orders)]
    eager = fastest(variants)
    if eager is None:
        sys.exit(f"peer: {variants[-1]['failed']}")
    for compiled in filter(None, args.compile.split(",")):
        variants.append(tried(args, mode, eager["channels_last"], eager["readout_first"], compiled))
    return {"best": fastest(variants), "variants": variants}


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.dtype == "tf32"
    load = os.getloadavg()[0]
    modes = {mode: measured(args, mode) for mode in args.mode.split(",")}
    cuda = args.device.startswith("cuda")
    report = {
        "peer": f"PyTorch {torch.__version__}",
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "capability": None if cuda else torch.backends.cpu.get_cpu_capability(),
        **{k: getattr(args, k) for k in ("system", "batch", "neurons", "height", "width", "threads", "blocks", "steps", "warmup", "dtype")},
        "load_before": load,
        "load_after": os.getloadavg()[0],
        **modes,
    }
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        for mode in modes:
            print(f"{mode}: {modes[mode]['best']['median_images_per_second']:.1f} images/s")


if __name__ == "__main__":
    main()
