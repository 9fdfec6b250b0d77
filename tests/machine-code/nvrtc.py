"""Compiles a kernel for Hopper with NVRTC, as build.rs does, and keeps the machine code beside the disassembler."""

import ctypes
import functools
import hashlib
import os
import pathlib
import re

import nvidia.cuda_nvrtc

HERE = pathlib.Path(__file__).resolve().parent
KERNELS = HERE.parents[1] / "kernels"
WORK = pathlib.Path(os.environ.get("MACHINE_CODE", HERE.parents[1] / "target" / "machine-code"))
PRECISIONS = {"f32": 0, "tf32": 1, "bf16": 2}


@functools.cache
def compiler():
    libraries = pathlib.Path(list(nvidia.cuda_nvrtc.__path__)[0]) / "lib"
    ctypes.CDLL(str(libraries / "libnvrtc-builtins.so.12.9"), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(libraries / "libnvrtc.so.12"))


def cubin(name, precision):
    """The path of the machine code of kernels/NAME.cu; compiled once for each state of the kernels."""
    text = (KERNELS / f"{name}.cu").read_bytes()
    arch = "sm_90a" if re.search(rb"static_assert\(HOPPER", text) else "sm_90"
    state = hashlib.sha256(text + b"".join(p.read_bytes() for p in sorted(KERNELS.glob("*.cuh")))).hexdigest()[:16]
    path = WORK / "cubin" / f"{name}.{precision}.{state}.cubin"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        code, log = compiled(text, name, PRECISIONS[precision], arch)
        path.with_suffix(".log").write_text(log)
        path.write_bytes(code)
    return str(path)


def compiled(text, name, precision, arch):
    nvrtc, program, size = compiler(), ctypes.c_void_p(), ctypes.c_size_t()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, f"{name}.cu".encode(), 0, None, None) == 0
    options = [
        f"--gpu-architecture={arch}",
        "--std=c++17",
        "-default-device",
        "-lineinfo",
        "--ptxas-options=-v",
        f"--include-path={KERNELS}",
        f"-DPRECISION={precision}",
    ]
    given = (ctypes.c_char_p * len(options))(*[o.encode() for o in options])
    failed = nvrtc.nvrtcCompileProgram(program, len(options), given)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    log = log.value.decode(errors="replace")
    if failed:
        raise RuntimeError(log)
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, code)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return code.raw, log


if __name__ == "__main__":
    import sys

    path = cubin(*sys.argv[1:3])
    print(path)
    print(pathlib.Path(path).with_suffix(".log").read_text())
