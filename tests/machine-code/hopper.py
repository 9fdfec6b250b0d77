"""What the machine code of the newer kernels does behind a warp's back: copies to shared memory and products of warpgroups.

A copy arrives as late as it may: when its warp waits for it. Products read shared memory from the moment they begin until somebody has
waited for them, and see what a fence has shown them before a barrier. Operands are found by their descriptors' definition.
"""

import functools
import re

import numpy as np

import boxes

NEVER = 1 << 60  # no barrier has that number
SIXTEEN = np.arange(16)


def begin(machine):
    """State per byte (who copies) and per 16 bytes (when shown to products, how many of them read)."""
    bytes_ = len(machine.smem)
    machine.copying = np.full(bytes_, -1, np.int16)
    machine.shown = np.full(bytes_ // 16, NEVER, np.int64)
    machine.under_products = np.zeros(bytes_ // 16, np.int32)
    for w in machine.warps:
        w.copies, w.groups, w.fresh, w.batch, w.batches = [], [], [], [], []


def wrote(machine, w, at):
    """Warp w wrote these bytes, which products may not see yet."""
    chunks = np.unique(at >> 4)
    if machine.under_products[chunks].any():
        machine.races["write under a product", machine.now.line] += 1
    machine.shown[chunks] = NEVER
    boxes.wrote(machine, chunks)
    w.fresh.append(chunks)


def reads(machine, w, at, line):
    if (machine.copying[at] >= 0).any():
        machine.races["access under a copy", line] += 1
    boxes.reads(machine, w, at, line)


def arrive(machine, w, groups):
    for group in groups:
        for at, data in group:
            machine.smem[at], machine.smem_init[at], machine.copying[at] = data, True, -1
            machine.we[at], machine.ww[at] = machine.barriers, w.id
            wrote(machine, w, at)


def finish(machine, w, batches):
    for chunks, *_ in (p for batch in batches for p in batch):
        np.subtract.at(machine.under_products, chunks, 1)
        boxes.multiplied(machine, w, chunks)
        at = (chunks[:, None] * 16 + SIXTEEN).ravel()
        machine.read_by(w, at)


def build(machine, i, op, mods, a):
    """The function of an instruction, or None if it is none of these."""
    from machine import FULL, Fault, bf16

    S = machine
    if op == "LDGSTS":
        width = 16 if "128" in mods else 8 if "64" in mods else 4
        to, source = S.address(a[0], True), S.address(a[1], False)
        inside = S.pred(a[2]) if len(a) > 2 else lambda w: FULL

        def copy(w, m):
            at, from_ = to(w).astype(np.int64) - S.shared_base, source(w)
            w.last = (from_, m & inside(w), width, (at, m))
            if not S.numbers:
                return
            S.check_shared(i, at[m], width)
            take = m & inside(w)
            if (from_[take] % np.uint64(width)).any():
                raise Fault("misaligned copy " + i.text)
            S.check_global(i, from_[take])
            data = S.mem.load(from_, take, width)
            ix = (at[m][:, None] + np.arange(width)).ravel()
            S.will_write(w, ix, i)
            reads(S, w, ix, i.line)
            boxes.touches(S, w, ix, i.line)
            S.copying[ix] = w.id
            if S.under_products[ix >> 4].any():
                S.races["copy under a product", i.line] += 1
            w.copies.append((ix, data[m].ravel()))

        return copy
    if op == "LDGDEPBAR":

        def close(w, m):
            w.groups.append(w.copies)
            w.copies = []

        return close
    if op == "DEPBAR":
        left = int(a[1], 16)

        def wait(w, m):
            done, w.groups = w.groups[: len(w.groups) - left], w.groups[max(len(w.groups) - left, 0) :]
            arrive(S, w, done)

        return wait
    if op == "MEMBAR":
        return lambda w, m: None
    if op == "FENCE":

        def show(w, m):
            for chunks in w.fresh:
                S.shown[chunks] = S.barriers
            w.fresh = []
            boxes.show(S, w)

        return show
    if op == "LDSM":
        first, source = int(a[0][1:]), S.address(a[1], True)
        count, turned = int(mods[-1]), any(t.startswith("MT") for t in mods)

        def load(w, m):
            at = source(w).astype(np.int64) - S.shared_base
            rows = np.arange(32) < 8 * count
            w.last = (at, rows, 16)
            if not S.numbers:
                return
            S.check_shared(i, at[rows], 16)
            ix = (at[rows][:, None] + SIXTEEN).ravel()
            S.read(w, ix, i)
            halves = S.smem[at[:, None] + SIXTEEN].view(np.uint16).reshape(4, 8, 8).astype(np.uint32)
            for k in range(count):
                h = halves[k].T if turned else halves[k]
                w.R[first + k] = (h[:, 0::2] | h[:, 1::2] << 16).ravel()

        return load
    if op == "HMUL2":
        d, x, y = S.wr(a[0]), S.opnd(a[1]), S.opnd(a[2])

        def times(w, m):
            p, q = x(w), y(w)
            low = (p << np.uint32(16)).view(np.float32) * (q << np.uint32(16)).view(np.float32)
            high = (p & np.uint32(0xFFFF0000)).view(np.float32) * (q & np.uint32(0xFFFF0000)).view(np.float32)
            d(w, m, bf16(high) << np.uint32(16) | bf16(low))

        return times
    if op == "WARPGROUP":
        if "ARRIVE" in mods:
            return lambda w, m: None
        left = int(a[1], 16)

        def wait_products(w, m):
            done, w.batches = w.batches[: len(w.batches) - left], w.batches[max(len(w.batches) - left, 0) :]
            if S.numbers:
                finish(S, w, done)

        return wait_products
    if op == "HGMMA":
        return product(machine, i, mods, a)
    return boxes.build(machine, i, op, mods, a)


def product(machine, i, mods, a):
    from machine import Fault

    S = machine
    columns, tf32 = int(mods[0].split("x")[1]), "TF32" in mods
    d = int(a[0][1:])
    in_registers = a[1].startswith("R")
    left = int(a[1].replace(".reuse", "")[1:]) if in_registers else None
    described = re.match(r"gdesc\[UR(\d+)\]", a[2 if in_registers else 1])
    u, across = int(described.group(1)), "tnspB" in a[2 if in_registers else 1]
    rest = a[3:] if in_registers else a[2:]
    adds = rest[0] != "RZ"
    condition = next((S.pred(t) for t in rest[1:] if re.match(r"!?U?P", t)), None)
    closes = "gsb0" in rest
    touched = set(range(d, d + columns // 2))
    read_from = set(range(left, left + 4)) if in_registers else set()
    low = lambda w, k: (w.UR[k] & 0xFFFFFFFF) | (w.UR[k + 1] & 0xFFFFFFFF) << 32

    def go(w, m):
        if not m.all():
            raise Fault("product by part of a warp " + i.text)
        if not S.numbers:
            if closes:
                w.batches.append([])
            return
        right = low(w, u + 2)
        places = along(right, columns) if not across else over(right, columns)
        operand, chunks = gather(S, w, places, i)
        if across:  # (k, columns) of 16 bits
            b = widened(operand.reshape(16, -1).view(np.uint16))
        else:
            b = numbers(operand.reshape(columns, -1), tf32).T
        if in_registers:
            x = fragments(w, left, tf32)
        else:
            places = along(low(w, u), 64)[16 * (w.id % 4) : 16 * (w.id % 4) + 16]
            own, more = gather(S, w, places, i)
            chunks = np.concatenate([chunks, more])
            x = numbers(own.reshape(16, -1), tf32)
        sums = (x.astype(np.float64) @ b.astype(np.float64)).reshape(2, 8, columns // 8, 4, 2)
        add = adds and (condition is None or bool(condition(w)[0]))
        for half in range(2):
            for j in range(columns // 8):
                for e in range(2):
                    r = d + 4 * j + 2 * half + e
                    new = sums[half, :, j, :, e].ravel()
                    w.R[r] = ((w.R[r].view(np.float32).astype(np.float64) if add else 0) + new).astype(np.float32).view(np.uint32)
        np.add.at(S.under_products, chunks, 1)
        w.batch.append((chunks, touched, read_from))
        if closes:
            w.batches.append(w.batch)
            w.batch = []

    return go


def along(descriptor, rows):
    """Where rows with k along them hold 32 bytes of k, in chunks of 16 bytes, (rows, 2)."""
    start, between = (descriptor & 0x3FFF) << 4, (descriptor >> 32 & 0x3FFF) << 4
    r = np.arange(rows)[:, None]
    return swizzled(start + r // 8 * between + r % 8 * 128 + np.arange(2) * 16, descriptor)


def over(descriptor, columns):
    """Where 16 rows of one k each hold the columns, 8 to a chunk, (16, columns / 8)."""
    start, slabs, between = (descriptor & 0x3FFF) << 4, (descriptor >> 16 & 0x3FFF) << 4, (descriptor >> 32 & 0x3FFF) << 4
    k, c = np.arange(16)[:, None], np.arange(columns // 8)
    return swizzled(start + c // 8 * slabs + k // 8 * between + k % 8 * 128 + c % 8 * 16, descriptor)


def swizzled(at, descriptor):
    assert descriptor >> 62 == 1 and descriptor >> 49 & 7 == 0, "only the swizzle of 128 bytes is known here"
    return at ^ (at >> 7 & 7) << 4


def gather(machine, w, places, i):
    """The chunks that products read, and what lies there."""
    at = places.ravel() - machine.window  # descriptors do not name the block
    machine.check_shared(i, at, 16)
    chunks, ix = at >> 4, at[:, None] + SIXTEEN
    if not machine.smem_init[ix].all():
        machine.uninit += 1
        machine.uninit_at[i.line] = machine.uninit_at.get(i.line, 0) + 1
    reads(machine, w, ix.ravel(), i.line)
    if (machine.shown[chunks] >= machine.barriers).any():
        machine.races["product of what no fence has shown", i.line] += 1
    return machine.smem[ix], chunks


def widened(halves):
    return (halves.astype(np.uint32) << 16).view(np.float32)


def numbers(rows, tf32):
    rows = np.ascontiguousarray(rows)
    if tf32:
        return (rows.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)
    return widened(rows.view(np.uint16))


def fragments(w, first, tf32):
    """The left operand's 16 rows of this warp."""
    x = np.zeros((16, 8 if tf32 else 16), np.float32)
    g, t = np.arange(32) // 4, np.arange(32) % 4
    for k in range(4):
        words, row = w.R[first + k], g + k % 2 * 8
        if tf32:
            x[row, t + k // 2 * 4] = (words & np.uint32(0xFFFFE000)).view(np.float32)
        else:
            x[row, 2 * t + k // 2 * 8] = (words << np.uint32(16)).view(np.float32)
            x[row, 2 * t + 1 + k // 2 * 8] = (words & np.uint32(0xFFFF0000)).view(np.float32)
    return x


def check_registers(machine, w, i):
    """No instruction but products may touch the sums of one under way, or write its operand."""
    if i.op.startswith("HGMMA"):
        return
    used, written = registers(i)
    for _, sums, operands in (p for batch in w.batches + [w.batch] for p in batch):
        if used & sums or written & (sums | operands):
            machine.races["register of a product under way", i.line] += 1


def registers(i):
    if not hasattr(i, "registers"):
        i.registers = find_registers(i.op.split("."), i.rest)
    return i.registers


WIDTHS = {"64": 2, "128": 4}


def find_registers(op, rest):
    """Registers that an instruction uses at all, and those that it writes."""
    from machine import Machine

    operands = [t.replace(".reuse", "") for t in Machine.split(rest)]
    wide = next((WIDTHS[t] for t in op if t in WIDTHS), 1)
    if op[0] == "LDSM":
        wide = int(op[-1])
    used, written = set(), set()
    stores = op[0] in ("STG", "STS")
    target = (
        None
        if stores or op[0] in ("LDGSTS", "BAR", "BRA", "RET", "CALL")
        else next((k for k, t in enumerate(operands) if not re.fullmatch(r"!?U?P\w+", t)), None)
    )
    for k, t in enumerate(operands):
        for r, long in re.findall(r"(?<![A-Z])R(\d+)(\.64)?", t):
            size = 2 if long else 1
            if "[" not in t:
                if op[0] == "HMMA":
                    size = 2 if k == 2 else 4
                elif k == target and ("WIDE" in op or op[0] == "CS2R" and "32" not in op):
                    size = 2
                elif (k == target and op[0] in ("LDG", "LDS", "LDSM", "LDC")) or (stores and k == 1):
                    size = wide
            span = set(range(int(r), int(r) + size))
            used |= span
            if k == target and "[" not in t:
                written |= span
    return frozenset(used), frozenset(written)
