#!/usr/bin/env bash
# Environment of the PyTorch peer and of tests/fixtures/generate.py, without Triton and the CUDA solver:
#
#     benches/peers/setup.sh VENV [TORCH_WHEEL]
#
# PyPI's torch for Linux is the CUDA build; it loads the CUDA libraries on import, also where there is no GPU, so
# the wheels below are the least that works (3.6 GB installed). Where pytorch.org can be reached, the CPU build is
# smaller: pip install torch==2.11.0 --index-url https://download.pytorch.org/whl/cpu. For `train.py --device cuda`
# with --compile, install plainly instead: pip install -r benches/peers/requirements.txt.
set -euo pipefail
venv=${1:?usage: setup.sh VENV [TORCH_WHEEL]}
torch=${2:-torch==2.11.0}

python3 -m venv "$venv"
"$venv/bin/pip" install -q --no-deps "$torch"
"$venv/bin/pip" install -q --no-deps \
    filelock typing-extensions sympy networkx jinja2 fsspec mpmath markupsafe 'setuptools<82' numpy safetensors
"$venv/bin/pip" install -q --no-deps \
    nvidia-cublas==13.1.0.3 nvidia-cuda-cupti==13.0.85 nvidia-cuda-runtime==13.0.96 nvidia-cudnn-cu13==9.19.0.56 \
    nvidia-cufft==12.0.0.61 nvidia-cufile==1.15.1.6 nvidia-curand==10.4.0.35 nvidia-cusparse==12.6.3.3 \
    nvidia-cusparselt-cu13==0.8.0 nvidia-nccl-cu13==2.28.9 nvidia-nvjitlink==13.0.88 nvidia-nvshmem-cu13==3.4.5
"$venv/bin/python" -c 'import torch; print("torch", torch.__version__)'
