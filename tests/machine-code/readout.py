"""The readout's products, on warpgroups or, in float32, by warps: what they take, what they must give."""

import numpy as np

from arrays import halves, rounded, stored
from launch import Launch

WHOLE = 32
CLUSTER, OWN_ROWS = 2, 128  # blocks that share the maps of the forward pass, and how many rows of them each copies


def filled(n):
    return -(-n // WHOLE) * WHOLE


class Case:
    """Random operands, as they are stored, and what float64 makes of them."""

    def __init__(self, precision, batch, channels, pixels, neurons, seed=1):
        draw = np.random.default_rng(seed).standard_normal
        self.precision, self.sizes = precision, (batch, channels, pixels, neurons)
        self.x = rounded(draw((batch, channels, pixels)), precision)
        self.mask = draw((neurons, pixels)).astype(np.float32)
        self.features = draw((neurons, channels)).astype(np.float32)
        self.bias = draw(neurons).astype(np.float32)
        self.dh = draw((batch, neurons)).astype(np.float32)
        self.sparsity = draw(neurons).astype(np.float32)
        self.magnitude = rounded(np.abs(self.mask), precision)

    def stored(self, rows):
        return stored(rows, self.precision, filled(rows.shape[-1]))


def forward(case):
    b, c, p, n = case.sizes
    images = min(max(256 // c, 1), 32)
    if case.precision == "f32":
        run, columns = Launch("readout_tensor", "readout_tensor_forward", "f32", 256, 24832), 128
    else:
        run, columns = Launch("readout_warpgroup_forward", "readout_warpgroup_forward", case.precision, 256, 57360, CLUSTER), 192
    x, mask = case.stored(case.x), case.stored(case.magnitude)
    if case.precision == "f32":
        x, mask = run.put(x), run.put(mask)
    else:
        x, mask = run.matrix(x.reshape(b * c, -1), OWN_ROWS), run.matrix(mask, columns)
    h = run.empty(b * n)
    grid = (-(-n // columns // run.cluster) * run.cluster, -(-b // images), 1)
    run.go(grid, [x, mask, run.put(case.features), run.put(case.bias), h], [b, c, p, n, images, 1])
    g = np.einsum("bcp,np->bcn", case.x.astype(float), case.magnitude.astype(float))
    want = np.einsum("bcn,nc->bn", g, np.abs(case.features).astype(float)) + case.bias
    return run, run.get(h, (b, n)), want


def to_maps(case):
    b, c, p, n = case.sizes
    if case.precision == "f32":
        run, columns = Launch("readout_tensor", "readout_tensor_backward_input", "f32", 256, 24832), 128
    else:
        run, columns = Launch("readout_warpgroup_input", "readout_warpgroup_backward_input", case.precision, 256, 57856), 192
    v = rounded(np.abs(case.features), case.precision)
    dh = rounded(case.dh, case.precision)
    mask = case.stored(case.magnitude if case.precision != "tf32" else np.ascontiguousarray(case.magnitude.T))
    factors = case.stored(np.concatenate([v.T, dh]))
    half = case.precision == "bf16"
    dx = run.empty(b * c * p, np.uint16 if half else np.float32)
    rows = b * -(-c // 16) * 16
    run.go((-(-p // columns), -(-rows // 256), 1), [run.put(mask), run.put(factors), dx], [b, c, p, n])
    got = run.get(dx, (b, c, p), np.uint16 if half else np.float32)
    want = np.einsum("bn,nc,np->bcp", dh.astype(float), v.astype(float), case.magnitude.astype(float))
    return run, halves(got) if half else got, want


def weights_kernel(precision):
    """File, kernel, threads, words of shared memory, neurons and pixels of a block."""
    if precision == "f32":
        return "readout_tensor", "readout_tensor_backward_weights", 256, 17408, 128, 128
    if precision == "tf32":
        return "readout_warpgroup_weights_tf32", "readout_warpgroup_backward_weights_tf32", 256, 58112, 192, 64
    return "readout_warpgroup_weights", "readout_warpgroup_backward_weights", 384, 57344, 192, 96


def to_weights(case):
    b, c, p, n = case.sizes
    file, kernel, threads, words, rows, columns = weights_kernel(case.precision)
    run = Launch(file, kernel, case.precision, threads, words)
    dh, tiles = rounded(case.dh, case.precision), -(-p // columns)
    dmask, parts = run.empty(n * p), run.empty(tiles * n * c)
    given = [
        run.put(case.stored(case.x)),
        run.put(case.stored(case.magnitude)),
        run.put(case.mask),
        run.put(case.features),
        run.put(case.stored(np.ascontiguousarray(dh.T))),
        run.put(case.sparsity),
        dmask,
        parts,
    ]
    run.go((-(-n // rows), tiles, 1), given, [b, c, p, n, 1])
    g = np.einsum("bn,bcp->ncp", dh.astype(float), case.x.astype(float))
    want_mask = np.einsum("nc,ncp->np", np.abs(case.features).astype(float), g) + case.sparsity[:, None]
    want_mask *= np.sign(case.mask)
    want_features = np.einsum("np,ncp->nc", case.magnitude.astype(float), g)
    got = run.get(parts, (tiles, n, c)).astype(float).sum(0)
    return run, [run.get(dmask, (n, p)), got], [want_mask, want_features]
