#!/usr/bin/env bash
# Python with NumPy, NVRTC and a disassembler, in target/machine-code.
set -euo pipefail
cd "$(dirname "$0")/../.."
into=target/machine-code
mkdir -p $into/bin
[ -x $into/venv/bin/python ] || python3 -m venv $into/venv
$into/venv/bin/pip install --quiet numpy==2.3.3 nvidia-cuda-nvrtc-cu12==12.9.86
# nvdisasm comes inside Triton.
$into/venv/bin/pip install --quiet --no-deps triton==3.9.0
ln -sf "$(find "$PWD/$into/venv" -path '*triton*' -name nvdisasm -type f | head -n 1)" $into/bin/nvdisasm
