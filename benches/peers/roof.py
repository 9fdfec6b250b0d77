"""What the card can do at most, by PyTorch: a large copy and large matrix products, as JSON.

    python benches/peers/roof.py ROOF.json
"""

import json
import sys
from pathlib import Path

import torch

COPY_WORDS = 1 << 29
SIDE = 8192


def seconds(work, repeats=10, warmup=3):
    """Mean seconds of `work` on the card's clock."""
    for _ in range(warmup):
        work()
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(repeats):
        work()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3 / repeats


def product(dtype, tf32):
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a, b = (torch.randn(SIDE, SIDE, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * SIDE**3 / seconds(lambda: a @ b)


def main():
    source = torch.randn(COPY_WORDS, device="cuda")
    target = torch.empty_like(source)
    report = {
        "device": torch.cuda.get_device_name(),
        "by": f"PyTorch {torch.__version__}",
        "bytes_per_second": 2 * 4 * COPY_WORDS / seconds(lambda: target.copy_(source)),
    }
    del source, target
    report["f32_flops"] = product(torch.float32, False)
    report["tf32_flops"] = product(torch.float32, True)
    report["bf16_flops"] = product(torch.bfloat16, False)
    text = json.dumps(report, indent=2)
    Path(sys.argv[1]).write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
