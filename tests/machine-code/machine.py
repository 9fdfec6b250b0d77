# Runs one block of a kernel's sm_90 machine code, lane by lane, and records what each warp executed.
import re, sys, math, collections
import numpy as np
from disassembly import load, constant2
import boxes
import hopper
from cluster import Cluster

np.seterr(all="ignore")
U = np.uint32
M32 = 0xFFFFFFFF
LANES = np.arange(32, dtype=np.uint32)
PARAMETERS = 0x210  # where the constant bank has them
ADDRESS_OF_PARAMETERS = 0x7F0000000000
FULL = np.ones(32, bool)


class Memory:
    """Sparse global memory: pages of 64 KiB."""

    def __init__(s):
        s.pages = {}
        s.next = 0x10000000
        s.regions = []

    def alloc(s, nbytes, name="", fill=None, align=256):
        a = (s.next + align - 1) // align * align
        s.next = a + int(nbytes) + 4096
        s.regions.append((a, a + int(nbytes), name, fill))
        return a

    def page(s, p):
        pg = s.pages.get(p)
        if pg is None:
            pg = np.zeros(65536, np.uint8)
            for a, b, n, f in s.regions:
                if f is not None and a < (p + 1) * 65536 and b > p * 65536:
                    lo = max(a, p * 65536)
                    hi = min(b, (p + 1) * 65536)
                    pg[lo - p * 65536 : hi - p * 65536] = f(lo - a, hi - a)
            s.pages[p] = pg
        return pg

    def put(s, a, arr):
        by = np.frombuffer(np.ascontiguousarray(arr).tobytes(), np.uint8)
        i = 0
        while i < len(by):
            p, o = divmod(a + i, 65536)
            n = min(65536 - o, len(by) - i)
            s.page(p)[o : o + n] = by[i : i + n]
            i += n

    def get(s, a, n, dt):
        n *= np.dtype(dt).itemsize
        out = np.empty(n, np.uint8)
        i = 0
        while i < n:
            p, o = divmod(a + i, 65536)
            m = min(65536 - o, n - i)
            out[i : i + m] = s.page(p)[o : o + m]
            i += m
        return out.view(dt)

    def load(s, addr, mask, nbytes):
        out = np.zeros((32, nbytes), np.uint8)
        act = addr[mask]
        if not len(act):
            return out
        pg = act >> np.uint64(16)
        idx = np.nonzero(mask)[0]
        for p in np.unique(pg):
            sel = pg == p
            o = (act[sel] & np.uint64(0xFFFF)).astype(np.int64)
            buf = s.page(int(p))
            out[idx[sel]] = buf[o[:, None] + np.arange(nbytes)]
        return out

    def store(s, addr, mask, data):
        act = addr[mask]
        d = data[mask]
        if not len(act):
            return
        pg = act >> np.uint64(16)
        for p in np.unique(pg):
            sel = pg == p
            o = (act[sel] & np.uint64(0xFFFF)).astype(np.int64)
            s.page(int(p))[o[:, None] + np.arange(d.shape[1])] = d[sel]

    def region(s, a):
        for lo, hi, n, f in s.regions:
            if lo <= a < hi:
                return n
        return "?"


class Warp:
    pass


class Fault(Exception):
    pass


def bf16(x):
    b = x.view(np.uint32).astype(np.uint64)
    up = 0x7FFF + ((b >> np.uint64(16)) & np.uint64(1))
    r = ((b + up) >> np.uint64(16)).astype(np.uint32)
    nan = np.isnan(x)
    return np.where(nan, 0x7FFF, r).astype(np.uint32)


class Machine:
    def __init__(s, cubin, kernel, mem, params, grid, block, threads, smem=227 * 1024, trace=True):
        s.cubin = cubin
        k = load(cubin)[kernel]
        s.ins, s.labels = k
        s.mem = mem
        s.kernel = kernel
        s.at = {i.addr: n for n, i in enumerate(s.ins)}
        s.cb = np.zeros(4096, np.uint8)
        s.threads = threads
        s.grid = grid
        s.block = block

        def c32(o, v):
            s.cb[o : o + 4] = np.frombuffer(int(v & M32).to_bytes(4, "little"), np.uint8)

        c32(0, threads)
        c32(4, 1)
        c32(8, 1)
        for i in range(3):
            c32(0xC + 4 * i, grid[i])
        c32(0x28, 0xFFFD00)
        s.cb[0x198:0x1A0] = np.frombuffer(ADDRESS_OF_PARAMETERS.to_bytes(8, "little"), np.uint8)
        s.maps = {}
        o = PARAMETERS
        for kind, v in params:
            if kind == "p":
                o = (o + 7) // 8 * 8
                s.cb[o : o + 8] = np.frombuffer(int(v).to_bytes(8, "little"), np.uint8)
                o += 8
            elif kind == "i":
                c32(o, v)
                o += 4
            elif kind == "f":
                s.cb[o : o + 4] = np.frombuffer(np.float32(v).tobytes(), np.uint8)
                o += 4
            elif kind == "m":
                o = (o + 63) // 64 * 64
                s.maps[ADDRESS_OF_PARAMETERS + o - PARAMETERS] = v
                o += 128
        s.smem = np.full(smem, 0, np.uint8)
        s.smem_init = np.zeros(smem, bool)
        s.we = np.full(smem, -1, np.int64)
        s.ww = np.zeros(smem, np.int16)
        s.re = np.full(smem, -1, np.int64)
        s.rm = np.zeros(smem, np.uint32)
        s.races = collections.Counter()
        s.window = 0x400  # what comes before a block's own shared memory
        s.barriers = 0
        s.trace = trace
        s.code = [None] * len(s.ins)
        s.warps = []
        for w in range(threads // 32):
            x = Warp()
            x.id, x.machine = w, s
            x.R = np.zeros((256, 32), np.uint32)
            x.P = np.zeros((8, 32), bool)
            x.P[7] = True
            x.UR = [0] * 64
            x.UP = [False] * 8
            x.UP[7] = True
            x.B = {}
            x.pc = np.zeros(32, np.int64)
            x.alive = np.ones(32, bool)
            x.wait = np.zeros(32, bool)
            x.atbar = False
            x.done = False
            x.bwait = {}
            x.trace = []
            x.count = 0
            s.warps.append(x)
        hopper.begin(s)
        boxes.begin(s)

    def join(s, cluster, rank):
        s.cluster, s.rank = cluster, rank
        s.shared_base = s.window | rank << 24

    # ---- shared and global memory, checked
    def check_shared(s, i, at, width):
        if (at < 0).any() or (at + width > len(s.smem)).any():
            raise Fault(f"shared memory out of range {i.text} {at}")
        if (at % width).any():
            raise Fault("misaligned in shared memory " + i.text)

    def check_global(s, i, at):
        if s.strict:
            for x in at:
                if s.mem.region(int(x)) == "?":
                    raise Fault(f"outside of the arguments: {i.text} line {i.line} {hex(int(x))}")

    def read_by(s, w, ix):
        e = s.barriers
        s.rm[ix] = np.where(s.re[ix] == e, s.rm[ix], 0) | np.uint32(1 << w.id)
        s.re[ix] = e

    def read(s, w, ix, i):
        if not s.smem_init[ix].all():
            s.uninit += 1
            s.uninit_at[i.line] = s.uninit_at.get(i.line, 0) + 1
        hopper.reads(s, w, ix, i.line)
        boxes.touches(s, w, ix, i.line)
        if ((s.we[ix] == s.barriers) & (s.ww[ix] != w.id)).any():
            s.races["read after write", i.line] += 1
        s.read_by(w, ix)

    def will_write(s, w, ix, i):
        e = s.barriers
        if ((s.we[ix] == e) & (s.ww[ix] != w.id)).any():
            s.races["write after write", i.line] += 1
        if ((s.re[ix] == e) & ((s.rm[ix] & ~np.uint32(1 << w.id)) != 0)).any():
            s.races["write after read", i.line] += 1

    # ---- operands
    def c(s, off, n=4):
        return int.from_bytes(s.cb[off : off + n].tobytes(), "little")

    def opnd(s, t, flt=False):
        """-> function w -> uint32[32] (or float32[32])."""
        t = t.strip().replace(".reuse", "")
        neg = ab = inv = False
        if t.startswith("-") and not re.match(r"^-(0x|\d|INF|QNAN|\.)", t):
            neg = True
            t = t[1:]
        if t.startswith("~"):
            inv = True
            t = t[1:]
        if t.startswith("|"):
            ab = True
            t = t.strip("|")
        m = re.match(r"^R(\d+)$", t)
        if m:
            r = int(m.group(1))
            g = lambda w: w.R[r]
        elif t == "RZ":
            z = np.zeros(32, np.uint32)
            g = lambda w: z
        elif re.match(r"^UR(\d+)$", t):
            r = int(t[2:])
            g = lambda w: np.full(32, w.UR[r] & M32, np.uint32)
        elif t == "URZ":
            z = np.zeros(32, np.uint32)
            g = lambda w: z
        elif t.startswith("c["):
            m = re.match(r"^c\[0x0\]\[(0x[0-9a-f]+)\]$", t)
            if not m:
                raise Fault("const " + t)
            v = np.full(32, s.c(int(m.group(1), 16)), np.uint32)
            g = lambda w: v
        else:
            v = s.imm(t, flt)
            v = np.full(32, v, np.uint32)
            g = lambda w: v
        if flt:
            h = g
            g = lambda w: h(w).view(np.float32)
            if ab:
                h2 = g
                g = lambda w: np.abs(h2(w))
            if neg:
                h3 = g
                g = lambda w: -h3(w)
        else:
            if ab:
                h = g
                g = lambda w: np.abs(h(w).view(np.int32)).view(np.uint32)
            if neg:
                h4 = g
                g = lambda w: (~h4(w)) + U(1)
            if inv:
                h5 = g
                g = lambda w: ~h5(w)
        g.neg = neg
        g.inv = inv
        return g

    def imm(s, t, flt):
        neg = False
        if t.startswith("-"):
            neg = True
            t = t[1:]
        if t.startswith("+"):
            t = t[1:]
        if t.startswith("0x"):
            v = int(t, 16)
            return (-v if neg else v) & M32
        if t == "INF":
            f = float("inf")
        elif t == "QNAN":
            return 0x7FFFFFFF
        else:
            f = float(t)
        if not flt:
            if re.match(r"^\d+$", t):
                v = int(t)
                return (-v if neg else v) & M32
        return int(np.float32(-f if neg else f).view(np.uint32))

    def pred(s, t):
        t = t.strip()
        n = t.startswith("!")
        t = t.lstrip("!")
        if t == "PT":
            return (lambda w: ~FULL) if n else (lambda w: FULL)
        if t == "UPT":
            return (lambda w: ~FULL) if n else (lambda w: FULL)
        if t.startswith("UP"):
            i = int(t[2:])
            return (lambda w: np.full(32, not w.UP[i])) if n else (lambda w: np.full(32, w.UP[i]))
        i = int(t[1:])
        return (lambda w: ~w.P[i]) if n else (lambda w: w.P[i])

    def upred(s, t):
        t = t.strip()
        n = t.startswith("!")
        t = t.lstrip("!")
        i = 7 if t == "UPT" else int(t[2:])
        return (lambda w: not w.UP[i]) if n else (lambda w: w.UP[i])

    def uop(s, t):
        t = t.strip()
        neg = False
        inv = False
        if t.startswith("-") and not re.match(r"^-(0x|\d)", t):
            neg = True
            t = t[1:]
        if t.startswith("~"):
            inv = True
            t = t[1:]
        if t == "URZ":
            g = lambda w: 0
        elif t.startswith("UR"):
            i = int(t[2:])
            g = lambda w: w.UR[i] & M32
        elif t.startswith("c["):
            m = re.match(r"^c\[0x0\]\[(0x[0-9a-f]+)\]$", t)
            v = s.c(int(m.group(1), 16))
            g = lambda w: v
        else:
            v = s.imm(t, False)
            g = lambda w: v
        if neg:
            h = g
            g = lambda w: (-h(w)) & M32
        if inv:
            h1 = g
            g = lambda w: (~h1(w)) & M32
        g.neg = neg
        return g

    @staticmethod
    def split(r):
        out = []
        d = 0
        cur = ""
        for ch in r:
            if ch in "[(":
                d += 1
            if ch in "])":
                d -= 1
            if ch == "," and d == 0:
                out.append(cur.strip())
                cur = ""
            else:
                cur += ch
        if cur.strip():
            out.append(cur.strip())
        return out

    def wr(s, r):
        r = r.replace(".reuse", "")
        if r == "RZ":
            return lambda w, m, v: None
        i = int(r[1:])

        def f(w, m, v):
            if m is FULL or m.all():
                w.R[i] = v
            else:
                w.R[i] = np.where(m, v, w.R[i])

        return f

    def wp(s, p):
        if p == "PT":
            return lambda w, m, v: None
        i = int(p[1:])

        def f(w, m, v):
            w.P[i] = np.where(m, v, w.P[i])

        return f

    def wr64(s, r):
        if r == "RZ":
            return lambda w, m, lo, hi: None
        i = int(r[1:])

        def f(w, m, lo, hi):
            w.R[i] = np.where(m, lo, w.R[i])
            w.R[i + 1] = np.where(m, hi, w.R[i + 1])

        return f

    def reg64(s, t):
        t = t.strip().replace(".reuse", "")
        neg = t.startswith("-")
        t = t.lstrip("-")
        if t == "RZ":
            return lambda w: np.zeros(32, np.uint64)
        if t.startswith("UR"):
            i = int(t[2:]) if t != "URZ" else None
            if i is None:
                return lambda w: np.zeros(32, np.uint64)
            return lambda w: np.full(32, (w.UR[i] & M32) | ((w.UR[i + 1] & M32) << 32), np.uint64)
        if t.startswith("R"):
            i = int(t[1:])
            g = lambda w: w.R[i].astype(np.uint64) | (w.R[i + 1].astype(np.uint64) << np.uint64(32))
            if neg:
                return lambda w: (~g(w)) + np.uint64(1)
            return g
        if t.startswith("c["):
            m = re.match(r"^c\[0x0\]\[(0x[0-9a-f]+)\]$", t)
            v = s.c(int(m.group(1), 16), 8)
            return lambda w: np.full(32, v, np.uint64)
        v = s.imm(t, False)
        v = v - (1 << 32) if v >> 31 else v
        return lambda w: np.full(32, v & ((1 << 64) - 1), np.uint64)

    def address(s, t, shared):
        """[R4.64+0x4], [R40+UR5+0x10]"""
        m = re.search(r"\[([^\]]*)\]$", t)
        parts = re.split(r"\+(?!0x-)", m.group(1))
        fs = []
        const = 0
        is64 = ".64" in t
        for p in parts:
            p = p.strip()
            if not p or p == "RZ" or p == "URZ":
                continue
            mm = re.match(r"^-?0x[0-9a-f]+$", p)
            if mm:
                const += int(p, 16)
                continue
            if p.startswith("UR"):
                i = int(re.match(r"UR(\d+)", p).group(1))
                if is64 and not shared:
                    fs.append(lambda w, i=i: np.full(32, (w.UR[i] & M32) | ((w.UR[i + 1] & M32) << 32), np.uint64))
                else:
                    fs.append(lambda w, i=i: np.full(32, w.UR[i] & M32, np.uint64))
                continue
            mm = re.match(r"^R(\d+)(\.64)?(\.X\d+)?$", p)
            if not mm:
                raise Fault("address " + t)
            i = int(mm.group(1))
            mul = int(mm.group(3)[2:]) if mm.group(3) else 1
            if mm.group(2):
                fs.append(lambda w, i=i: w.R[i].astype(np.uint64) | (w.R[i + 1].astype(np.uint64) << np.uint64(32)))
            else:
                fs.append(lambda w, i=i, mul=mul: w.R[i].astype(np.uint64) * np.uint64(mul))
        cc = np.uint64(const & ((1 << 64) - 1))
        if shared:

            def f(w):
                a = np.full(32, cc, np.uint64)
                for g in fs:
                    a = a + g(w)
                return a & np.uint64(M32)

        else:

            def f(w):
                a = np.full(32, cc, np.uint64)
                for g in fs:
                    a = a + g(w)
                return a

        return f

    # ---- compile one instruction
    def build(s, n):
        i = s.ins[n]
        op = i.op
        o = op.split(".")[0]
        mods = op.split(".")[1:]
        a = s.split(i.rest)
        S = s

        def two(f, flt=False):
            pass

        if o == "HFMA2":  # constants only
            d = S.wr(a[0])
            if not (a[1].lstrip("-") == "RZ" and a[2].lstrip("-") == "RZ"):
                raise Fault(i.text)
            v = (int(np.float16(float(a[3])).view(np.uint16)) << 16) | int(np.float16(float(a[4])).view(np.uint16))
            vv = np.full(32, v, np.uint32)
            return lambda w, m: d(w, m, vv)
        if o in ("MOV",):
            d = S.wr(a[0])
            x = S.opnd(a[1])
            return lambda w, m: d(w, m, x(w))
        if o == "IMAD":
            if "WIDE" in mods:
                # IMAD.WIDE[.U32][.X] Rd, [Pcout,] a, b, c64[, Pcin]
                d = S.wr64(a[0])
                j = 1
                pc = None
                if re.match(r"^P\d$|^PT$", a[1]):
                    pc = a[1]
                    j = 2
                x, y, z = S.opnd(a[j]), S.opnd(a[j + 1]), S.reg64(a[j + 2])
                un = "U32" in mods
                cin = S.pred(a[j + 3]) if len(a) > j + 3 else None
                po = S.wp(pc) if pc else None

                def f(w, m):
                    p, q = x(w), y(w)
                    if un:
                        r = p.astype(np.uint64) * q.astype(np.uint64)
                    else:
                        r = (p.view(np.int32).astype(np.int64) * q.view(np.int32).astype(np.int64)).view(np.uint64)
                    zz = z(w)
                    t = r + zz
                    carry = t < r
                    if cin is not None:
                        ci = cin(w).astype(np.uint64)
                        t2 = t + ci
                        carry = carry | (t2 < t)
                        t = t2
                    d(w, m, (t & np.uint64(M32)).astype(np.uint32), (t >> np.uint64(32)).astype(np.uint32))
                    if po:
                        po(w, m, carry)

                return f
            if "HI" in mods:
                d = S.wr(a[0])
                x, y, z = S.opnd(a[1]), S.opnd(a[2]), S.opnd(a[3])
                un = "U32" in mods

                def f(w, m):
                    p, q = x(w), y(w)
                    if un:
                        r = ((p.astype(np.uint64) * q.astype(np.uint64)) >> np.uint64(32)).astype(np.uint32)
                    else:
                        r = (
                            ((p.view(np.int32).astype(np.int64) * q.view(np.int32).astype(np.int64)) >> 32)
                            .astype(np.int64)
                            .astype(np.uint64)
                            .astype(np.uint32)
                        )
                    # lower half of c joins: c is a 64-bit pair in IMAD.HI; here its low word enters below, high word above
                    d(w, m, r + z(w) if a[3] == "RZ" else S.imadhi(w, p, q, a[3], un))

                return f
            j = 1
            po = None
            if re.match(r"^P\d$|^PT$", a[1]):
                po = S.wp(a[1])
                j = 2
            d = S.wr(a[0])
            x, y, z = S.opnd(a[j]), S.opnd(a[j + 1]), S.opnd(a[j + 2])
            if "X" in mods:
                cin = S.pred(a[j + 3])

                def f(w, m):
                    r = (
                        (x(w).astype(np.uint64) * y(w).astype(np.uint64) & np.uint64(M32))
                        + z(w).astype(np.uint64)
                        + cin(w).astype(np.uint64)
                    )
                    d(w, m, (r & np.uint64(M32)).astype(np.uint32))
                    if po:
                        po(w, m, r >> np.uint64(32) != 0)

                return f

            def f(w, m):
                if po:
                    r = x(w).astype(np.uint64) * y(w).astype(np.uint64) & np.uint64(M32)
                    zz = z(w).astype(np.uint64)
                    if z.neg:
                        zz = np.uint64(1 << 32) - ((~z(w) + U(1)).astype(np.uint64))
                    r = r + zz
                    po(w, m, (r >> np.uint64(32)) != 0)
                    d(w, m, (r & np.uint64(M32)).astype(np.uint32))
                else:
                    d(w, m, x(w) * y(w) + z(w))

            return f
        if o == "VIADD":
            d = S.wr(a[0])
            x, y = S.opnd(a[1]), S.opnd(a[2])
            return lambda w, m: d(w, m, x(w) + y(w))
        if o == "IADD3":
            j = 1
            pos = []
            while re.match(r"^P\d$|^PT$", a[j]):
                pos.append(S.wp(a[j]))
                j += 1
            d = S.wr(a[0])
            xs = [S.opnd(t) for t in a[j : j + 3]]
            cin = []
            if "X" in mods:
                cin = [S.pred(t) for t in a[j + 3 : j + 5]]
            if not pos and not cin:
                return lambda w, m: d(w, m, xs[0](w) + xs[1](w) + xs[2](w))

            def f(w, m):
                t = np.zeros(32, np.uint64)
                for x in xs:
                    v = x(w)
                    if x.neg:
                        t = t + np.uint64(1 << 32) - ((~v + U(1)).astype(np.uint64))
                    else:
                        t = t + v.astype(np.uint64)
                for ci in cin:
                    t = t + ci(w).astype(np.uint64)
                d(w, m, (t & np.uint64(M32)).astype(np.uint32))
                cy = t >> np.uint64(32)
                if len(pos) > 0:
                    pos[0](w, m, cy >= 1)
                if len(pos) > 1:
                    pos[1](w, m, cy >= 2)

            return f
        if o == "LEA":
            j = 1
            po = None
            if re.match(r"^P\d$|^PT$", a[1]):
                po = S.wp(a[1])
                j = 2
            d = S.wr(a[0])
            x, y = S.opnd(a[j]), S.opnd(a[j + 1])
            if "HI" in mods:
                sx = "SX32" in mods
                X = "X" in mods
                if sx:
                    sh = int(a[j + 2], 16)
                    c = None
                    cin = S.pred(a[j + 3]) if X else None
                else:
                    c = S.opnd(a[j + 2])
                    sh = int(a[j + 3], 16)
                    cin = S.pred(a[j + 4]) if X else None

                def f(w, m):
                    lo = x(w).astype(np.uint64)
                    if sx:
                        v = x(w).view(np.int32).astype(np.int64).view(np.uint64)
                    else:
                        v = lo | (c(w).astype(np.uint64) << np.uint64(32))
                    h = ((v << np.uint64(sh)) >> np.uint64(32)).astype(np.uint32) if True else None
                    t = h.astype(np.uint64) + y(w).astype(np.uint64)
                    if cin is not None:
                        t = t + cin(w).astype(np.uint64)
                    d(w, m, (t & np.uint64(M32)).astype(np.uint32))
                    if po:
                        po(w, m, (t >> np.uint64(32)) != 0)

                return f
            sh = int(a[j + 2], 16)

            def f(w, m):
                t = ((x(w) << U(sh)).astype(np.uint64)) + y(w).astype(np.uint64)
                d(w, m, (t & np.uint64(M32)).astype(np.uint32))
                if po:
                    po(w, m, (t >> np.uint64(32)) != 0)

            return f
        if o == "LOP3":
            j = 0
            po = None
            if re.match(r"^P\d$|^PT$", a[0]):
                po = S.wp(a[0])
                j = 1
            d = S.wr(a[j])
            x, y, z = [S.opnd(t) for t in a[j + 1 : j + 4]]
            lut = int(a[j + 4], 16)

            def f(w, m):
                A, B, C = x(w), y(w), z(w)
                r = np.zeros(32, np.uint32)
                for k in range(8):
                    if lut >> k & 1:
                        r |= (A if k & 4 else ~A) & (B if k & 2 else ~B) & (C if k & 1 else ~C)
                d(w, m, r)
                if po:
                    po(w, m, r != 0)

            return f
        if o == "SHF":
            d = S.wr(a[0])
            lo, sh, hi = S.opnd(a[1]), S.opnd(a[2]), S.opnd(a[3])
            left = "L" in mods
            HI = "HI" in mods
            s32 = "S32" in mods
            u32 = "U32" in mods
            wrap = "W" in mods
            s64 = "S64" in mods
            b64 = "U64" in mods or s64

            def f(w, m):
                L, H, n = lo(w).astype(np.uint64), hi(w).astype(np.uint64), sh(w).astype(np.uint64)
                if not b64:
                    n = (n & np.uint64(31)) if wrap else np.minimum(n, np.uint64(32))
                else:
                    n = np.minimum(n, np.uint64(63))
                if left:
                    v = L | (H << np.uint64(32))
                    if HI:
                        r = (v << n) >> np.uint64(32)
                    else:
                        r = L << n
                else:
                    if HI:  # high word shifted alone with sign, low word does not enter
                        if s32:
                            r = (hi(w).view(np.int32).astype(np.int64) >> np.minimum(n, np.uint64(31)).astype(np.int64)).view(np.uint64)
                        else:
                            r = H >> n
                    else:
                        v = L | (H << np.uint64(32))
                        r = v >> n
                d(w, m, (r & np.uint64(M32)).astype(np.uint32))

            return f
        if o == "PRMT":
            d = S.wr(a[0])
            x, se, y = S.opnd(a[1]), S.opnd(a[2]), S.opnd(a[3])

            def f(w, m):
                v = x(w).astype(np.uint64) | (y(w).astype(np.uint64) << np.uint64(32))
                k = se(w)
                r = np.zeros(32, np.uint32)
                for b in range(4):
                    q = (k >> U(4 * b)) & U(0xF)
                    byte = ((v >> ((q & U(7)).astype(np.uint64) * np.uint64(8))) & np.uint64(0xFF)).astype(np.uint32)
                    sg = (q & U(8)) != 0
                    byte = np.where(sg, np.where(byte & U(0x80), U(0xFF), U(0)), byte)
                    r |= byte << U(8 * b)
                d(w, m, r)

            return f
        if o in ("SEL", "FSEL"):
            fl = o == "FSEL"
            d = S.wr(a[0])
            x, y, p = S.opnd(a[1], fl), S.opnd(a[2], fl), S.pred(a[3])

            def f(w, m):
                A, B = x(w), y(w)
                if fl:
                    A, B = A.view(np.uint32), B.view(np.uint32)
                d(w, m, np.where(p(w), A, B))

            return f
        if o in ("ISETP", "FSETP"):
            fl = o == "FSETP"
            cmp = mods[0]
            un = "U32" in mods
            ex = "EX" in mods
            boo = [t for t in mods if t in ("AND", "OR", "XOR")][0]
            p0, p1 = S.wp(a[0]), S.wp(a[1])
            x, y = S.opnd(a[2], fl), S.opnd(a[3], fl)
            pi = S.pred(a[4])
            pe = S.pred(a[5]) if ex else None

            def f(w, m):
                A, B = x(w), y(w)
                if not fl and not un:
                    A, B = A.view(np.int32), B.view(np.int32)
                nan = (np.isnan(A) | np.isnan(B)) if fl else None
                base = cmp.rstrip("U") if fl and cmp not in ("NAN", "NUM") else cmp
                if cmp == "NAN":
                    r = nan
                elif cmp == "NUM":
                    r = ~nan
                else:
                    r = {"LT": A < B, "LE": A <= B, "GT": A > B, "GE": A >= B, "EQ": A == B, "NE": A != B}[base]
                    if fl:
                        if base == "NE":
                            r = r & ~nan
                        if cmp.endswith("U"):
                            r = r | nan
                if ex:
                    e = pe(w)
                    if base in ("LT", "GT"):
                        r = r | ((A == B) & e)
                    elif base in ("LE", "GE"):
                        r = np.where(A == B, e, r)
                    elif base == "EQ":
                        r = r & e
                    elif base == "NE":
                        r = r | e
                q = pi(w)
                r2 = (r & q) if boo == "AND" else (r | q) if boo == "OR" else (r ^ q)
                nr = (~r & q) if boo == "AND" else (~r | q) if boo == "OR" else (~r ^ q)
                p0(w, m, r2)
                p1(w, m, nr)

            return f
        if o == "PLOP3":
            p0, p1 = S.wp(a[0]), S.wp(a[1])
            x, y, z = [S.pred(t) for t in a[2:5]]
            l0, l1 = int(a[5], 16), int(a[6], 16)

            def f(w, m):
                A, B, C = x(w), y(w), z(w)
                k = A * 4 + B * 2 + C * 1
                p0(w, m, ((l0 >> k) & 1) != 0)
                p1(w, m, ((l1 >> k) & 1) != 0)

            return f
        if o == "R2P":
            r = re.match(r"R(\d+)(?:\.B(\d))?", a[1])
            first, shift, mk = int(r.group(1)), U(8 * int(r.group(2) or 0)), int(a[2], 16)

            def f(w, m):
                v = w.R[first] >> shift
                for k in range(7):
                    if mk >> k & 1:
                        w.P[k] = np.where(m, (v >> U(k) & U(1)) != 0, w.P[k])

            return f
        if o == "P2R":
            d = S.wr(a[0])
            mk = int(a[3], 16)

            def f(w, m):
                v = np.zeros(32, np.uint32)
                for k in range(7):
                    v |= w.P[k].astype(np.uint32) << U(k)
                d(w, m, v & U(mk))

            return f
        if o in ("S2R", "S2UR", "CS2R"):
            r = a[1]
            if o == "CS2R":
                if "32" in mods:
                    d = S.wr(a[0])
                    z = np.zeros(32, np.uint32)
                    return lambda w, m: d(w, m, z)
                d = S.wr64(a[0])
                z = np.zeros(32, np.uint32)
                if r != "SRZ":
                    raise Fault(i.text)
                return lambda w, m: d(w, m, z, z)

            def val(w):
                if r == "SR_TID.X":
                    return LANES + U(32 * w.id)
                if r.startswith("SR_TID"):
                    return np.zeros(32, np.uint32)
                if r.startswith("SR_CTAID"):
                    return np.full(32, S.block["XYZ".index(r[-1])], np.uint32)
                if r == "SR_LANEID":
                    return LANES
                if r == "SR_CgaCtaId":
                    return np.full(32, S.rank, np.uint32)
                raise Fault(i.text)

            if o == "S2R":
                d = S.wr(a[0])
                return lambda w, m: d(w, m, val(w))
            u = int(a[0][2:])

            def f(w, m):
                w.UR[u] = int(val(w)[0])

            return f
        if o == "LDC":
            m_ = re.match(r"^c\[0x0\]\[(0x[0-9a-f]+)\]$", a[1])
            if m_:
                off = int(m_.group(1), 16)
                if "64" in mods:
                    d = S.wr64(a[0])
                    v = S.c(off, 8)
                    lo = np.full(32, v & M32, np.uint32)
                    hi = np.full(32, v >> 32, np.uint32)
                    return lambda w, m: d(w, m, lo, hi)
                d = S.wr(a[0])
                v = np.full(32, S.c(off), np.uint32)
                return lambda w, m: d(w, m, v)
            m_ = re.match(r"^c\[0x2\]\[R(\d+)\]$", a[1])
            if m_:
                rr = int(m_.group(1))
                tab = np.frombuffer(constant2(s.cubin, s.kernel), np.uint32)
                d = S.wr(a[0])
                return lambda w, m: d(w, m, tab[np.where(m, w.R[rr] // 4, 0)])
            raise Fault(i.text)
        if o == "ULDC":
            off = int(re.match(r"^c\[0x0\]\[(0x[0-9a-f]+)\]$", a[1]).group(1), 16)
            u = int(a[0][2:])
            if "64" in mods:
                v = S.c(off, 8)

                def f(w, m):
                    w.UR[u] = v & M32
                    w.UR[u + 1] = v >> 32

                return f
            v = S.c(off)

            def f(w, m):
                w.UR[u] = v

            return f
        if o in ("LDG", "LDS"):
            nb = 128 if "128" in mods else 64 if "64" in mods else 16 if "U16" in mods else 32
            nb //= 8
            r = int(a[0][1:]) if a[0] != "RZ" else None
            ad = S.address(a[1], o == "LDS")
            sh = o == "LDS"

            def f(w, m):
                A = ad(w)
                if sh:
                    off = A.astype(np.int64) - S.shared_base
                    S.check_shared(i, off[m], nb)
                    by = S.smem[np.where(m, off, 0)[:, None] + np.arange(nb)]
                    if S.numbers:
                        S.read(w, (off[m][:, None] + np.arange(nb)).ravel(), i)
                else:
                    if (A[m] % np.uint64(nb)).any():
                        raise Fault(f"misaligned global load {i.text} {A[m]}")
                    S.check_global(i, A[m])
                    by = S.mem.load(A, m, nb)
                w.last = (A, m, nb)
                if r is None:
                    return
                if nb == 2:
                    v = by.copy().view(np.uint16)[:, 0].astype(np.uint32)
                    w.R[r] = np.where(m, v, w.R[r])
                else:
                    v = np.ascontiguousarray(by).view(np.uint32)
                    for k in range(nb // 4):
                        w.R[r + k] = np.where(m, v[:, k], w.R[r + k])

            return f
        if o in ("STG", "STS"):
            nb = 128 if "128" in mods else 64 if "64" in mods else 16 if "U16" in mods else 32
            nb //= 8
            ad = S.address(a[0], o == "STS")
            sh = o == "STS"
            rr = a[1].replace(".reuse", "")
            r = int(rr[1:]) if rr != "RZ" else None

            def f(w, m):
                A = ad(w)
                if r is None:
                    by = np.zeros((32, nb), np.uint8)
                elif nb == 2:
                    by = w.R[r].astype(np.uint16).reshape(32, 1).view(np.uint8)
                else:
                    by = np.ascontiguousarray(w.R[r : r + nb // 4].T).view(np.uint8)
                w.last = (A, m, nb)
                if sh:
                    off = A.astype(np.int64) - S.shared_base
                    S.check_shared(i, off[m], nb)
                    ix = off[m][:, None] + np.arange(nb)
                    S.smem[ix] = by[m]
                    S.smem_init[ix] = True
                    ix = ix.ravel()
                    if S.numbers:
                        S.will_write(w, ix, i)
                        hopper.reads(S, w, ix, i.line)
                        boxes.touches(S, w, ix, i.line)
                        hopper.wrote(S, w, ix)
                        S.we[ix] = S.barriers
                        S.ww[ix] = w.id
                else:
                    if (A[m] % np.uint64(nb)).any():
                        raise Fault("misaligned global store " + i.text)
                    S.check_global(i, A[m])
                    S.mem.store(A, m, by)

            return f
        if o == "SHFL":
            # SHFL.mode Pd, Rd, Ra, b, c
            d = S.wr(a[1])
            x, b, c = S.opnd(a[2]), S.opnd(a[3]), S.opnd(a[4])
            md = mods[0]

            def f(w, m):
                v = x(w)
                n = b(w).astype(np.int64)
                L = np.arange(32)
                src = {"IDX": n & 31, "BFLY": L ^ n, "DOWN": L + n, "UP": L - n}[md]
                okk = (src >= 0) & (src < 32)
                src = np.where(okk, src, L)
                if not m[src][m].all():
                    S.badshfl += 1
                d(w, m, v[src])

            return f
        if o in ("FFMA", "FMUL", "FADD"):
            d = S.wr(a[0])
            xs = [S.opnd(t, True) for t in a[1:]]
            sat = "SAT" in mods
            if o == "FFMA":

                def f(w, m):
                    r = (xs[0](w).astype(np.float64) * xs[1](w).astype(np.float64) + xs[2](w).astype(np.float64)).astype(np.float32)
                    if sat:
                        r = np.clip(r, 0, 1).astype(np.float32)
                    d(w, m, r.view(np.uint32))

                if any(t in mods for t in ("RM", "RP", "RZ")):

                    def f(w, m):
                        e = xs[0](w).astype(np.float64) * xs[1](w).astype(np.float64) + xs[2](w).astype(np.float64)
                        r = e.astype(np.float32)
                        if "RM" in mods:
                            r = np.where(r.astype(np.float64) > e, np.nextafter(r, np.float32(-np.inf)), r)
                        if "RP" in mods:
                            r = np.where(r.astype(np.float64) < e, np.nextafter(r, np.float32(np.inf)), r)
                        if "RZ" in mods:
                            r = np.where(np.abs(r.astype(np.float64)) > np.abs(e), np.nextafter(r, np.float32(0)), r)
                        d(w, m, r.astype(np.float32).view(np.uint32))

                return f
            if o == "FMUL":

                def multiply(w, m):
                    r = (xs[0](w) * xs[1](w)).astype(np.float32)
                    d(w, m, np.where(np.isnan(r), np.uint32(0x7FFFFFFF), r.view(np.uint32)))  # the card's one NaN

                return multiply
            return lambda w, m: d(w, m, (xs[0](w) + xs[1](w)).astype(np.float32).view(np.uint32))
        if o == "FMNMX":
            d = S.wr(a[0])
            x, y, p = S.opnd(a[1], True), S.opnd(a[2], True), S.pred(a[3])
            return lambda w, m: d(w, m, np.where(p(w), np.fmin(x(w), y(w)), np.fmax(x(w), y(w))).astype(np.float32).view(np.uint32))
        if o == "FSET":
            d = S.wr(a[0])
            x, y, p = S.opnd(a[1], True), S.opnd(a[2], True), S.pred(a[3])
            cmp = mods[1]

            def f(w, m):
                A, B = x(w), y(w)
                r = {"LT": A < B, "LE": A <= B, "GT": A > B, "GE": A >= B, "EQ": A == B, "NE": A != B}[cmp] & p(w)
                d(w, m, np.where(r, np.float32(1), np.float32(0)).astype(np.float32).view(np.uint32))

            return f
        if o == "MUFU":
            d = S.wr(a[0])
            x = S.opnd(a[1], True)
            fn = {"RCP": lambda v: 1 / v, "RSQ": lambda v: 1 / np.sqrt(v), "EX2": lambda v: np.exp2(v), "LG2": lambda v: np.log2(v)}[
                mods[0]
            ]
            return lambda w, m: d(w, m, fn(x(w).astype(np.float64)).astype(np.float32).view(np.uint32))
        if o == "I2F":
            d = S.wr(a[0])
            x = S.opnd(a[1])
            un = "U32" in mods

            # rounding .RP (up)
            def f(w, m):
                e = x(w).astype(np.float64) if un else x(w).view(np.int32).astype(np.float64)
                r = e.astype(np.float32)
                if "RP" in mods:
                    r = np.where(r.astype(np.float64) < e, np.nextafter(r, np.float32(np.inf)), r)
                d(w, m, r.astype(np.float32).view(np.uint32))

            return f
        if o == "I2FP":
            d = S.wr(a[0])
            x = S.opnd(a[1])
            un = "U32" in mods
            return lambda w, m: d(w, m, (x(w).astype(np.float32) if un else x(w).view(np.int32).astype(np.float32)).view(np.uint32))
        if o == "F2I":
            d = S.wr(a[0])
            x = S.opnd(a[1], True)

            def f(w, m):
                v = np.trunc(x(w).astype(np.float64))
                v = np.where(np.isnan(v), 0, v)
                d(w, m, np.clip(v, 0, 2**32 - 1).astype(np.uint64).astype(np.uint32))

            return f
        if o == "F2FP":
            d = S.wr(a[0])
            x, y = S.opnd(a[1], True), S.opnd(a[2], True)
            return lambda w, m: d(w, m, (bf16(x(w)) << U(16)) | bf16(y(w)))
        if o == "IDP":
            if mods != ["2A", "LO", "U16", "U8"]:
                raise Fault("unknown " + i.text)
            d = S.wr(a[0])
            x, y, z = S.opnd(a[1]), S.opnd(a[2]), S.opnd(a[3])
            return lambda w, m: d(w, m, (x(w) & U(0xFFFF)) * (y(w) & U(0xFF)) + (x(w) >> U(16)) * (y(w) >> U(8) & U(0xFF)) + z(w))
        if o == "IABS":
            d = S.wr(a[0])
            x = S.opnd(a[1])
            return lambda w, m: d(w, m, np.abs(x(w).view(np.int32).astype(np.int64)).astype(np.uint32))
        if o == "VIMNMX":
            d = S.wr(a[0])
            x, y, p = S.opnd(a[1]), S.opnd(a[2]), S.pred(a[3])
            un = "U32" in mods

            def f(w, m):
                A, B = x(w), y(w)
                if not un:
                    A, B = A.view(np.int32), B.view(np.int32)
                d(w, m, np.where(p(w), np.minimum(A, B), np.maximum(A, B)).view(np.uint32))

            return f
        if o == "VIADDMNMX":
            d = S.wr(a[0])
            x, y, z, p = S.opnd(a[1]), S.opnd(a[2]), S.opnd(a[3]), S.pred(a[4])
            un = "U32" in mods

            def f(w, m):
                A, B = (x(w) + y(w)), z(w)
                if not un:
                    A, B = A.view(np.int32), B.view(np.int32)
                d(w, m, np.where(p(w), np.minimum(A, B), np.maximum(A, B)).view(np.uint32))

            return f
        if o == "HMMA":
            rd, ra, rb, rc = [int(t.replace(".reuse", "")[1:]) if t.replace(".reuse", "") != "RZ" else None for t in a[:4]]
            tf = "TF32" in mods

            def f(w, m):
                if not m.all():
                    raise Fault("HMMA with part of a warp " + i.text)
                if not S.numbers:
                    return
                A = np.zeros((16, 8 if tf else 16), np.float64)
                B = np.zeros((8 if tf else 16, 8), np.float64)
                g = np.arange(32) // 4
                t = np.arange(32) % 4
                X = [w.R[ra + k] for k in range(4)]
                Y = [w.R[rb + k] for k in range(2)]
                if tf:
                    cv = lambda v: (v & U(0xFFFFE000)).view(np.float32).astype(np.float64)
                    A[g, t] = cv(X[0])
                    A[g + 8, t] = cv(X[1])
                    A[g, t + 4] = cv(X[2])
                    A[g + 8, t + 4] = cv(X[3])
                    B[t, g] = cv(Y[0])
                    B[t + 4, g] = cv(Y[1])
                else:
                    lo = lambda v: (v << U(16)).view(np.float32).astype(np.float64)
                    hi = lambda v: (v & U(0xFFFF0000)).view(np.float32).astype(np.float64)
                    for k, (r0, c0) in enumerate([(0, 0), (8, 0), (0, 8), (8, 8)]):
                        A[g + r0, 2 * t + c0] = lo(X[k])
                        A[g + r0, 2 * t + 1 + c0] = hi(X[k])
                    for k, c0 in enumerate([0, 8]):
                        B[2 * t + c0, g] = lo(Y[k])
                        B[2 * t + 1 + c0, g] = hi(Y[k])
                D = A @ B
                C = [w.R[rc + k].view(np.float32).astype(np.float64) if rc is not None else 0 for k in range(4)]
                out = [D[g, 2 * t], D[g, 2 * t + 1], D[g + 8, 2 * t], D[g + 8, 2 * t + 1]]
                for k in range(4):
                    w.R[rd + k] = (out[k] + C[k]).astype(np.float32).view(np.uint32)

            return f
        if o == "R2UR":
            u = int(a[0][2:])
            x = S.opnd(a[1])

            def f(w, m):
                w.UR[u] = int(x(w)[np.argmax(m)])

            return f
        if o == "UMOV":
            u = int(a[0][2:])
            x = S.uop(a[1])

            def f(w, m):
                w.UR[u] = x(w)

            return f
        if o == "UIADD3" and "64" in mods:
            pair = lambda t: (
                (lambda w: 0)
                if t == "URZ"
                else (
                    (lambda w, k=int(t[2:]): w.UR[k] & M32 | (w.UR[k + 1] & M32) << 32)
                    if t.startswith("UR")
                    else (lambda w, v=int(t, 16): v - (v >> 31 << 32))
                )
            )
            u = int(a[0][2:])
            xs = [pair(t) for t in a[1:4]]

            def f(w, m):
                t = sum(x(w) for x in xs)
                w.UR[u] = t & M32
                w.UR[u + 1] = t >> 32 & M32

            return f
        if o == "UIADD3":
            j = 1
            pos = []
            while re.match(r"^UP\d$|^UPT$", a[j]):
                pos.append(7 if a[j] == "UPT" else int(a[j][2:]))
                j += 1
            u = int(a[0][2:]) if a[0] != "URZ" else None
            xs = [S.uop(t) for t in a[j : j + 3]]
            cin = [S.upred(t) for t in a[j + 3 : j + 5]] if "X" in mods else []

            def f(w, m):
                t = 0
                for x in xs:
                    v = x(w)
                    if x.neg:
                        t += (1 << 32) - ((-v) & M32)
                    else:
                        t += v
                for ci in cin:
                    t += int(ci(w))
                if u is not None:
                    w.UR[u] = t & M32
                if pos and pos[0] != 7:
                    w.UP[pos[0]] = t >> 32 >= 1
                if len(pos) > 1 and pos[1] != 7:
                    w.UP[pos[1]] = t >> 32 >= 2

            return f
        if o == "UIMAD":
            u = int(a[0][2:])
            x, y = S.uop(a[1]), S.uop(a[2])
            if "WIDE" in mods:
                un = "U32" in mods
                z = None if a[3] == "URZ" else int(a[3][2:])

                def f(w, m):
                    p, q = x(w), y(w)
                    if not un:
                        p = p - (1 << 32) if p >> 31 else p
                        q = q - (1 << 32) if q >> 31 else q
                    c = 0 if z is None else (w.UR[z] & M32) | ((w.UR[z + 1] & M32) << 32)
                    r = (p * q + c) & ((1 << 64) - 1)
                    w.UR[u] = r & M32
                    w.UR[u + 1] = r >> 32

                return f
            z = S.uop(a[3])

            def f(w, m):
                w.UR[u] = (x(w) * y(w) + z(w)) & M32

            return f
        if o == "UISETP":
            cmp = mods[0]
            un = "U32" in mods
            boo = [t for t in mods if t in ("AND", "OR")][0]
            p0 = 7 if a[0] == "UPT" else int(a[0][2:])
            x, y = S.uop(a[2]), S.uop(a[3])
            pi = S.upred(a[4])

            def f(w, m):
                A, B = x(w), y(w)
                if not un:
                    A = A - (1 << 32) if A >> 31 else A
                    B = B - (1 << 32) if B >> 31 else B
                r = {"LT": A < B, "LE": A <= B, "GT": A > B, "GE": A >= B, "EQ": A == B, "NE": A != B}[cmp]
                q = pi(w)
                if p0 != 7:
                    w.UP[p0] = (r and q) if boo == "AND" else (r or q)

            return f
        if o == "ULEA":
            j = 1
            po = None
            if re.match(r"^UP\d$|^UPT$", a[1]):
                po = 7 if a[1] == "UPT" else int(a[1][2:])
                j = 2
            u = int(a[0][2:])
            x, y = S.uop(a[j]), S.uop(a[j + 1])
            if "HI" in mods:
                signed = "SX32" in mods  # the upper half is the sign
                c = (lambda w: -(x(w) >> 31) & M32) if signed else S.uop(a[j + 2])
                at = j + 2 if signed else j + 3
                sh = int(a[at], 16)
                cin = S.upred(a[at + 1]) if "X" in mods else None

                def f(w, m):
                    v = x(w) | (c(w) << 32)
                    h = ((v << sh) >> 32) & M32
                    t = h + y(w) + (int(cin(w)) if cin else 0)
                    w.UR[u] = t & M32

                return f
            sh = int(a[j + 2], 16)

            def f(w, m):
                t = ((x(w) << sh) & M32) + y(w)
                w.UR[u] = t & M32
                if po is not None and po != 7:
                    w.UP[po] = t >> 32 != 0

            return f
        if o == "ULOP3":
            j = 0
            po = None
            if re.match(r"^UP\d$|^UPT$", a[0]):
                po = 7 if a[0] == "UPT" else int(a[0][2:])
                j = 1
            u = None if a[j] == "URZ" else int(a[j][2:])
            x, y, z = [S.uop(t) for t in a[j + 1 : j + 4]]
            lut = int(a[j + 4], 16)

            def f(w, m):
                A, B, C = x(w), y(w), z(w)
                r = 0
                for k in range(8):
                    if lut >> k & 1:
                        r |= (A if k & 4 else ~A) & (B if k & 2 else ~B) & (C if k & 1 else ~C)
                r &= M32
                if u is not None:
                    w.UR[u] = r
                if po is not None and po != 7:
                    w.UP[po] = r != 0

            return f
        if o == "USHF":
            u = int(a[0][2:])
            lo, sh, hi = S.uop(a[1]), S.uop(a[2]), S.uop(a[3])
            left = "L" in mods
            HI = "HI" in mods
            s32 = "S32" in mods
            b64 = "U64" in mods

            def f(w, m):
                L, H, n = lo(w), hi(w), sh(w)
                n = min(n, 63 if b64 else 32)
                if left:
                    v = L | (H << 32)
                    r = ((v << n) >> 32) & M32 if HI else (L << n) & M32
                else:
                    if HI:
                        h = H - (1 << 32) if (s32 and H >> 31) else H
                        r = (h >> min(n, 31 if s32 else 32)) & M32
                    else:
                        r = ((L | (H << 32)) >> n) & M32
                w.UR[u] = r

            return f
        if o == "USEL":
            u = int(a[0][2:])
            x, y, p = S.uop(a[1]), S.uop(a[2]), S.upred(a[3])

            def f(w, m):
                w.UR[u] = x(w) if p(w) else y(w)

            return f
        if o == "UPRMT":
            u = int(a[0][2:])
            x, se, y = S.uop(a[1]), S.uop(a[2]), S.uop(a[3])

            def f(w, m):
                v, k = x(w) | y(w) << 32, se(w)
                if k & 0x8888:
                    raise Fault("unknown " + i.text)
                w.UR[u] = sum((v >> 8 * (k >> 4 * b & 7) & 0xFF) << 8 * b for b in range(4))

            return f
        if o == "UPLOP3":
            p0 = 7 if a[0] == "UPT" else int(a[0][2:])
            x, y, z = [S.upred(t) for t in a[2:5]]
            l0 = int(a[5], 16)

            def f(w, m):
                k = int(x(w)) * 4 + int(y(w)) * 2 + int(z(w))
                if p0 != 7:
                    w.UP[p0] = bool(l0 >> k & 1)

            return f
        if o == "VOTEU":
            p0 = 7 if a[0] == "UPT" else int(a[0][2:])
            p = S.pred(a[1])

            def f(w, m):
                v = p(w)[m]
                r = bool(v.all()) if "ALL" in mods else bool(v.any())
                if p0 != 7:
                    w.UP[p0] = r

            return f
        if o == "FCHK":
            p0 = S.wp(a[0])
            return lambda w, m: p0(w, m, np.zeros(32, bool))
        if o in ("NOP", "WARPSYNC", "ENDCOLLECTIVE", "YIELD"):
            return lambda w, m: None
        f = hopper.build(s, i, o, mods, a)
        if f is None:
            raise Fault("unknown " + i.text)
        return f

    def imadhi(s, w, p, q, c, un):
        i = int(c[1:])
        lo = w.R[i].astype(object)
        # IMAD.HI Rd = hi32(a*b + c) where c is the 64-bit pair whose HIGH word is what is printed (Rc); low word is the next lower register
        prod = (
            (p.astype(np.uint64) * q.astype(np.uint64))
            if un
            else (p.view(np.int32).astype(np.int64) * q.view(np.int32).astype(np.int64)).view(np.uint64)
        )
        # nvdisasm prints the even register of the pair (R2 for R2:R3)
        cc = w.R[i].astype(np.uint64) | (w.R[i + 1].astype(np.uint64) << np.uint64(32))
        return ((prod + cc) >> np.uint64(32)).astype(np.uint32)

    # ---- run
    def checks(s, strict=False, numbers=True):
        """What is looked after: places in memory; and numbers, without which there are only traces."""
        s.strict = strict
        s.numbers = numbers
        s.uninit = 0
        s.uninit_at = {}
        s.badshfl = 0

    def run(s, strict=False, numbers=True):
        s.checks(strict, numbers)
        Cluster([s]).run()
        return s

    def run_warp(s, w):
        ins = s.ins
        code = s.code
        at = s.at
        labels = s.labels
        while True:
            run = w.alive & ~w.wait
            if not run.any():
                if not w.alive.any():
                    w.done = True
                    return
                raise Fault("deadlock")
            if not w.alive.all() or w.wait.any() or (w.pc != w.pc[0]).any():
                pc = int(w.pc[run].min())
                mask = run & (w.pc == pc)
            else:
                pc = int(w.pc[0])
                mask = FULL
            n = at[pc]
            i = ins[n]
            op = i.op
            o = op.split(".", 1)[0]
            m = mask
            if i.pred:
                p, neg = i.pred
                if p.startswith("UP"):
                    v = w.UP[7 if p == "UPT" else int(p[2:])]
                    if v == neg:
                        m = mask & False
                else:
                    pv = w.P[7 if p == "PT" else int(p[1:])]
                    m = mask & (~pv if neg else pv)
            nxt = pc + 16
            w.count += 1
            if o == "BAR" and i.pred and not m.any():
                if s.trace:
                    w.trace.append((n, 0, None))
                w.pc = np.where(mask, nxt, w.pc)
                continue
            if o == "BAR":
                if s.trace:
                    w.trace.append((n, int(mask.sum()), None))
                if not (m == w.alive).all():
                    raise Fault("barrier by part of a warp")
                w.pc = np.where(mask, nxt, w.pc)
                w.atbar = True
                return
            if o in ("BRA", "EXIT", "BSSY", "BSYNC", "CALL", "RET", "BREAK", "BRX", "WARPSYNC"):
                if s.trace:
                    w.trace.append((n, int(mask.sum()), None))
                if o == "EXIT":
                    w.alive = w.alive & ~m
                    w.pc = np.where(mask & ~m, nxt, w.pc)
                    s.release(w)
                elif o == "BSSY":
                    b = int(i.rest.split(",")[0][1:])
                    w.B[b] = mask.copy()
                    w.pc = np.where(mask, nxt, w.pc)
                elif o == "BREAK":
                    b = int(re.search(r"B(\d+)", i.rest).group(1))
                    w.B[b] = w.B[b] & ~m
                    w.pc = np.where(mask, nxt, w.pc)
                    s.release(w)
                elif o == "BSYNC":
                    b = int(i.rest.strip()[1:])
                    want = w.B[b] & w.alive
                    w.bwait.setdefault(b, np.zeros(32, bool))
                    w.bwait[b] = w.bwait[b] | m
                    w.pc = np.where(mask & ~m, nxt, w.pc)
                    w.wait = w.wait | m
                    w.pcs = getattr(w, "pcs", {})
                    w.pcs[b] = nxt
                    s.release(w)
                elif o == "WARPSYNC":
                    w.pc = np.where(mask, nxt, w.pc)
                elif o == "CALL":
                    t = re.search(r"`\(([^)]+)\)", i.rest).group(1)
                    w.pc = np.where(m, labels[t], np.where(mask, nxt, w.pc))
                elif o == "RET":
                    r = int(i.rest.split()[0][1:])
                    w.pc = np.where(m, w.R[r].astype(np.int64), w.pc)
                elif o == "BRX":
                    r = int(i.rest.split()[0][1:])
                    w.pc = np.where(m, w.R[r].astype(np.int64), np.where(mask, nxt, w.pc))
                else:
                    if "DIV" in op:
                        w.pc = np.where(mask, nxt, w.pc)
                    elif "ANY" in op:  # for one of them all
                        w.pc = np.where(mask, labels[re.search(r"`\(([^)]+)\)", i.rest).group(1)] if m.any() else nxt, w.pc)
                    else:
                        parts = s.split(i.rest)
                        taken = m
                        if len(parts) == 2:
                            pp = parts[0]
                            ng = pp.startswith("!")
                            pp = pp.lstrip("!")
                            if pp.startswith("UP"):
                                v = np.full(32, w.UP[int(pp[2:])])
                            else:
                                v = w.P[7 if pp == "PT" else int(pp[1:])]
                            taken = m & (~v if ng else v)
                        t = re.search(r"`\(([^)]+)\)", i.rest).group(1)
                        tgt = labels[t]
                        if tgt == pc:  # end-of-kernel trap loop
                            w.alive = w.alive & ~taken
                        w.pc = np.where(taken, tgt, np.where(mask, nxt, w.pc))
                continue
            f = code[n]
            if f is None:
                f = code[n] = s.build(n)
            if i.pred and not m.any():
                if s.trace:
                    w.trace.append((n, 0, None))
            else:
                w.last = None
                s.now = i
                if w.batches or w.batch:
                    hopper.check_registers(s, w, i)
                f(w, m)
                if w.held:
                    return
                if s.trace:
                    w.trace.append((n, int(m.sum()) if m is not FULL else 32, w.last))
            if mask is FULL:
                w.pc += 16
            else:
                w.pc = np.where(mask, nxt, w.pc)

    def release(s, w):
        for b in list(w.bwait):
            got = w.bwait[b]
            if not got.any():
                continue
            want = w.B[b] & w.alive
            if (got[want]).all():
                w.wait = w.wait & ~got
                w.pc = np.where(got & w.alive, w.pcs[b], w.pc)
                w.bwait[b] = np.zeros(32, bool)
