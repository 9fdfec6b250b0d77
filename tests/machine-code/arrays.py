"""Numbers as kernels store them."""

import numpy as np


def bits_of_bf16(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def halves(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rounded(x, precision):
    """To the nearest that products take."""
    x = np.ascontiguousarray(x, np.float32)
    if precision == "bf16":
        return halves(bits_of_bf16(x))
    if precision == "tf32":
        return ((x.view(np.uint32).astype(np.uint64) + 0x1000).astype(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    return x


def stored(rows, precision, length):
    """Rows filled up with zeros, as words or as bf16."""
    wide = np.zeros((*rows.shape[:-1], length), np.float32)
    wide[..., : rows.shape[-1]] = rows
    return bits_of_bf16(wide) if precision == "bf16" else wide
