"""The readout through windows on warpgroups: its tables as src/ops/readout/windowed/regions.rs makes them, what its products take and must give."""

import numpy as np

from arrays import halves, rounded, stored
from launch import Launch
from readout import filled

TILE, SPAN, NONE, NO_VIEWERS = 192, 8, 0xFFFFFFFF, 0x1FFFFFFF
PIECES = {"bf16": 96, "tf32": 64}  # pixels of a region
PATCH = (12, 16)
HEIGHT, WIDTH, SIDE, GRID = 36, 64, 16, 4  # of the standard map and its windows


def snake(window):
    top, left, height, width = window
    return height * width, top, left if top // 4 % 2 == 0 else -left


def third(window, top, left):
    """The first and last third of a patch that a window meets."""
    first, end = max(window[0] - top, 0), min(window[0] + window[2] - top, PATCH[0])
    beside = window[1] + window[3] <= left or left + PATCH[1] <= window[1]
    return None if first >= end or beside else (first // 4, (end - 1) // 4)


def union(thirds):
    some = [t for t in thirds if t]
    return (min(t[0] for t in some), max(t[1] for t in some)) if some else None


def kind(thirds):
    """In the order in which a block takes them."""
    return {(0, 0): 0, (0, 1): 1, (1, 1): 1, (0, 2): 2, (1, 2): 3, (2, 2): 4}[thirds]


class Regions:
    """Of windows (top, left, height, width), one per neuron."""

    def __init__(self, windows, height, width, precision):
        self.chunk = 8 if precision == "bf16" else 4
        piece = PIECES[precision] // self.chunk
        self.map, self.windows = (height, width), [tuple(w) for w in windows]
        self.order = sorted(range(len(windows)), key=lambda n: (snake(self.windows[n]), n))
        self.starts = np.concatenate([[0], np.cumsum([w[2] * w[3] for w in self.windows])])
        self.tiles, self.chunks, self.pieces, self.sight = [0], [], [], []
        slots = []
        for first in range(0, len(self.order), TILE):
            own = self.order[first : first + TILE]
            slots += [(*self.windows[n], self.starts[n], n, 0, 0) for n in own]
            groups = [self.chunks_of(own[k : k + 64]) for k in range(0, TILE, 64)]
            seen = sorted(set().union(*groups), key=self.place)
            self.pieces += [(first // TILE, k) for k in range(0, len(seen), piece)]
            for k in range(0, len(seen), SPAN):
                pairs = [set(seen[i : min(i + 2, k + SPAN)]) for i in range(k, k + SPAN, 2)]
                self.sight.append(sum(bool(pair & group) << i for i, (group, pair) in enumerate((g, p) for g in groups for p in pairs)))
            self.chunks += seen + [NONE] * (-len(seen) % SPAN)
            self.tiles.append(len(self.chunks) // SPAN)
        slots += [(0,) * 8] * (-len(slots) % TILE)
        self.slots = np.array(slots, np.uint32)
        self.viewers, self.patches, self.corners, self.ends = [], [0], [], []
        for top in range(0, height, PATCH[0]):
            for left in range(0, width, PATCH[1]):
                chunks = [self.order[k : k + self.chunk] for k in range(0, len(self.order), self.chunk)]
                thirds = [union(third(self.windows[n], top, left) for n in chunk) for chunk in chunks]
                seen = sorted((k for k, of in enumerate(thirds) if of), key=lambda k: (kind(thirds[k]), k))
                kinds = [kind(union(thirds[k] for k in seen[i : i + SPAN])) for i in range(0, len(seen), SPAN)]
                self.ends.append([sum(k <= kind for k in kinds) for kind in range(5)])
                thirds = [(0b001, 0b011, 0b111, 0b110, 0b100)[kind] << 29 for kind in kinds]
                seen += [NO_VIEWERS] * (-len(seen) % SPAN)
                self.viewers += [k | thirds[i // SPAN] for i, k in enumerate(seen)]
                self.patches.append(len(self.viewers) // SPAN)
                self.corners.append((top, left))

    def chunks_of(self, neurons):
        return {p // self.chunk for w in {self.windows[n] for n in neurons} for p in self.pixels(w)}

    def place(self, chunk):
        """In the order in which a tile has them: two rows of two neighbours after two rows."""
        y, x = divmod(chunk * self.chunk, self.map[1])
        column = x // self.chunk
        return column // 2, y // 2, column % 2, chunk

    def tables(self):
        """Slots, tiles, chunks, pieces, patches, sight."""
        lengths = np.diff(self.patches)
        most_first = sorted(range(len(self.corners)), key=lambda k: (-lengths[k], k))
        first_pieces = [sum(tile < t for tile, _ in self.pieces) for t in range(len(self.tiles))]
        patches = [(*self.corners[k], self.patches[k], *self.ends[k]) for k in most_first]
        rows = (self.slots, list(zip(self.tiles, first_pieces)), self.chunks, self.pieces, patches, self.sight)
        return [np.array(table, np.uint32) for table in rows]

    def patch_masks(self, whole):
        """(spans, slots, pixels of a patch)."""
        height, width = self.map
        out = np.zeros((len(self.viewers), self.chunk, *PATCH), np.float32)
        for (top, left), first, end in zip(self.corners, self.patches, self.patches[1:]):
            for at in range(first * SPAN, end * SPAN):
                for k in range(self.chunk):
                    slot = (self.viewers[at] & NO_VIEWERS) * self.chunk + k
                    if slot >= len(self.order):
                        continue
                    part = whole[self.order[slot]].reshape(height, width)[top : top + PATCH[0], left : left + PATCH[1]]
                    out[at, k, : part.shape[0], : part.shape[1]] = part
        return out.reshape(-1, SPAN * self.chunk, PATCH[0] * PATCH[1])

    def pixels(self, window):
        top, left, height, width = window
        return [(top + y) * self.map[1] + left + x for y in range(height) for x in range(width)]

    def masks(self, whole):
        """(spans, TILE, pixels) of what whole masks (N, P) have there."""
        size = self.chunk
        out = np.zeros((len(self.chunks) // SPAN, TILE, SPAN * size), np.float32)
        for tile in range(len(self.tiles) - 1):
            for span in range(self.tiles[tile], self.tiles[tile + 1]):
                for k, chunk in enumerate(self.chunks[span * SPAN : (span + 1) * SPAN]):
                    if chunk == NONE:
                        continue
                    pixels = np.arange(chunk * size, (chunk + 1) * size)
                    held = pixels < whole.shape[1]
                    for row, n in enumerate(self.order[tile * TILE : (tile + 1) * TILE]):
                        out[span, row, k * size : (k + 1) * size][held] = whole[n, pixels[held]]
        return out


def standard(precision, neurons=6005):
    """Windows of 16 x 16 pixels with corners on a grid of 4, as many neurons each."""
    corners = [(y, x, SIDE, SIDE) for y in range(0, HEIGHT - SIDE + 1, GRID) for x in range(0, WIDTH - SIDE + 1, GRID)]
    ends = [neurons * (k + 1) // len(corners) for k in range(len(corners))]
    windows, first = [], 0
    for corner, end in zip(corners, ends):
        windows += [corner] * (end - first)
        first = end
    return Regions(windows, HEIGHT, WIDTH, precision)


class Case:
    """Random operands, as they are stored, and what float64 makes of them."""

    def __init__(self, precision, batch, channels, size, windows, seed=1):
        draw = np.random.default_rng(seed).standard_normal
        height, width = size
        self.precision, self.sizes = precision, (batch, channels, height * width, len(windows))
        self.regions = Regions(windows, height, width, precision)
        self.x = rounded(draw((batch, channels, height * width)), precision)
        self.mask = draw((len(windows), height * width)).astype(np.float32)
        for n, window in enumerate(windows):
            outside = np.ones(height * width, bool)
            outside[self.regions.pixels(window)] = False
            self.mask[n, outside] = 0
        self.features = draw((len(windows), channels)).astype(np.float32)
        self.dh = draw((batch, len(windows))).astype(np.float32)
        self.magnitude = rounded(np.abs(self.mask), precision)

    def put(self, run):
        return [run.put(table) for table in self.regions.tables()[:3]]

    def sorted_features(self):
        return self.features[self.regions.order]

    def put_x(self, run):
        return run.put(stored(self.x, self.precision, filled(self.x.shape[-1])))

    def put_masks(self, run):
        rows = stored(self.regions.masks(self.magnitude), self.precision, SPAN * self.regions.chunk)
        words = rows.reshape(*rows.shape[:2], SPAN, 4, self.regions.chunk // 4)
        return run.put(np.ascontiguousarray(words.swapaxes(2, 3)))  # as place_in_masks says


def forward_kernel(precision):
    return "readout_regions_forward", "readout_regions_forward", precision, 384, 55328


def maps_kernel(precision):
    return "readout_regions_input", "readout_regions_backward_input", precision, 256, 57856


def weights_kernel(precision):
    if precision == "tf32":
        return "readout_regions_weights_tf32", "readout_regions_backward_weights_tf32", precision, 256, 58112
    return "readout_regions_weights", "readout_regions_backward_weights", precision, 384, 57360


def forward(case, each=3):
    b, c, p, n = case.sizes
    run = Launch(*forward_kernel(case.precision))
    tiles, ranges = len(case.regions.tiles) - 1, -(-c // each)
    parts = run.empty(ranges * b * n)
    given = [case.put_x(run), case.put_masks(run), run.put(case.sorted_features()), *case.put(run)[1:], run.put(case.regions.tables()[5]), parts]
    run.go((-(-b // 128), ranges, tiles), given, [b, c, p, n, each, 1])
    got = run.get(parts, (ranges, b, n)).astype(float).sum(0)
    g = np.einsum("bcp,np->bcn", case.x.astype(float), case.magnitude.astype(float))
    want = np.einsum("bcn,nc->bn", g, np.abs(case.features).astype(float))
    return run, got, want[:, case.regions.order]


def not_a_number(case):
    """Where NaN comes out of the forward pass when it is among the features."""
    case.features[case.sizes[3] // 2, 1] = np.nan
    run, *outputs = forward(case)
    return run, *(np.isnan(h).astype(float) for h in outputs)


def to_weights(case, each=3):
    (b, c, p, n), r = case.sizes, case.regions
    run = Launch(*weights_kernel(case.precision))
    dh, ranges = rounded(case.dh, case.precision), -(-c // each)
    grown, parts = run.empty(ranges * r.starts[-1]), run.empty(len(r.pieces) * TILE * c)
    given = [
        case.put_x(run),
        case.put_masks(run),
        run.put(case.sorted_features()),
        run.put(stored(np.ascontiguousarray(dh.T[r.order]), case.precision, filled(b))),
        *case.put(run),
        run.put(r.tables()[3]),
        grown,
        parts,
    ]
    run.go((len(r.pieces), ranges, 1), given, [b, c, p, r.map[1], n, int(r.starts[-1]), each, 1])
    g = np.einsum("bn,bcp->ncp", dh.astype(float), case.x.astype(float))
    want_mask = np.einsum("nc,ncp->np", np.abs(case.features).astype(float), g)
    want_mask = np.concatenate([want_mask[n][r.pixels(r.windows[n])] for n in range(n)])
    want_features = np.einsum("np,ncp->nc", case.magnitude.astype(float), g)
    got = np.zeros((len(r.tiles) * TILE, c))
    for (tile, _), part in zip(r.pieces, run.get(parts, (len(r.pieces), TILE, c))):
        got[tile * TILE : (tile + 1) * TILE] += part
    return run, [run.get(grown, (ranges, r.starts[-1])).sum(0), got[:n]], [want_mask, want_features[r.order]]


def to_maps(case):
    (b, c, p, n), r = case.sizes, case.regions
    run = Launch(*maps_kernel(case.precision))
    v = rounded(np.abs(case.features), case.precision)
    dh = rounded(case.dh, case.precision)
    factors = np.concatenate([v.T, dh])[:, r.order]
    half = case.precision == "bf16"
    kind = np.uint16 if half else np.float32
    dx, masks = run.empty(b * c * p, kind), r.patch_masks(case.magnitude)
    given = [
        run.put(stored(masks if half else np.ascontiguousarray(masks.swapaxes(1, 2)), case.precision, masks.shape[2 if half else 1])),
        run.put(stored(factors, case.precision, filled(n))),
        run.put(np.array(r.viewers, np.uint32)),
        run.put(r.tables()[4]),
        dx,
    ]
    rows = b * -(-c // 16) * 16
    run.go((-(-rows // 256), len(r.corners), 1), given, [b, c, *r.map, n])
    want = np.einsum("bn,nc,np->bcp", dh.astype(float), v.astype(float), case.magnitude.astype(float))
    got = run.get(dx, (b, c, p), kind)
    return run, halves(got) if half else got, want
