"""A model of one multiprocessor, driven by what the warps of a few blocks executed: issue, pipes, the stall counts and scoreboards in the
machine code itself, passes of shared memory, L1 by sectors, the bandwidth of L2, tensor cores. Rates are nominal."""

import collections
import heapq

import numpy as np

CLOCK = 1.755e9
MULTIPROCESSORS = 132
MODEL = dict(
    shared=29, shuffle=24, l1=38, l2=270, special=22, s2r=22, constant=30, barrier=22, branch=8, fence=40,  # cycles of latency
    warp_product=6.36, warp_product_latency=33, group_product_latency=33,
    l2_bytes=6.65e12 / MULTIPROCESSORS / CLOCK,  # per cycle and multiprocessor: 28.7
    backlog=24,  # passes of shared memory that may wait before issue does
)  # fmt: skip
KINDS = {
    "fma": "FFMA FMUL FADD HMUL2",
    "heavy": "IMAD HFMA2",
    "special": "MUFU I2F F2I F2F",
    "warp product": "HMMA",
    "group product": "HGMMA",
    "shared load": "LDS LDSM",
    "shared store": "STS",
    "load": "LDG",
    "store": "STG",
    "copy": "LDGSTS",
    "shuffle": "SHFL",
    "barrier": "BAR",
    "s2r": "S2R S2UR",
    "constant": "LDC",
    "fence": "MEMBAR FENCE",
    "control": "BRA BSSY BSYNC EXIT CALL RET WARPSYNC BREAK NOP ENDCOLLECTIVE YIELD",
}
KIND = {op: kind for kind, ops in KINDS.items() for op in ops.split()}
SHARED = {"shared load", "shared store"}
GLOBAL = {"load", "store", "copy"}
MEMORY = SHARED | GLOBAL | {"shuffle", "constant", "s2r"}


def kind_of(op):
    first, *mods = op.split(".")
    if first == "WARPGROUP":
        return "await products" if "DEPBAR" in mods else "alu"
    if first == "LDGDEPBAR":
        return "close copies"
    if first == "DEPBAR":
        return "await copies"
    if first.startswith("U"):
        return "uniform"
    return KIND.get(first, "alu")


def passes_of(at, width):
    """Passes over shared memory of lanes that access so many bytes each: equal words are one, and a bank gives one word a pass."""

    def passes(of):
        words = {(int(x) >> 2) + k for x in of for k in range(max(1, width // 4))}
        return max(collections.Counter(w & 31 for w in words).values(), default=0)

    return passes(at)


def shared_passes(at, active, width, matrices=False):
    """Words: the whole warp at once. 8 bytes: two halves, together if neighbours (i, i ^ 1) or (i, i ^ 2) agree; 16 bytes: four quarters,
    halves likewise."""
    at = at.astype(np.int64)
    if width <= 4:
        return passes_of(at[active], width)
    lanes = np.arange(32)

    def agree(step):
        both = active & active[lanes ^ step]
        return bool(both.any()) and bool((at[both] == at[lanes ^ step][both]).all())

    together = not matrices and (agree(1) or agree(2))
    size = (32 if together else 16) if width == 8 else (16 if together else 8)
    groups = lanes.reshape(-1, size)
    return sum(passes_of(at[g][active[g]], width) for g in groups)


def prepare(machine):
    """What the model needs of a block: for every warp its instructions, active lanes, and cost in memory."""
    kinds = [kind_of(i.op) for i in machine.ins]
    blocks = []
    for w in machine.warps:
        steps = []
        for n, active, memory in w.trace:
            cost = None
            if memory is not None and active > 0:
                at, mask, width = memory[:3]
                if kinds[n] in SHARED:
                    cost = shared_passes(at, mask, width, machine.ins[n].op.startswith("LDSM"))
                elif kinds[n] in GLOBAL:
                    a = at[mask].astype(np.int64)
                    sectors = np.unique(np.concatenate([a >> 5, (a + width - 1) >> 5]))
                    cost = (sectors.tolist(), len(np.unique(a >> 7)), width * int(mask.sum()))
                    if kinds[n] == "copy":
                        cost += (shared_passes(*memory[3], width),)
            steps.append((n, active, cost))
        blocks.append(steps)
    return blocks


class L1:
    def __init__(self, kilobytes):
        self.most, self.lines = max(64, kilobytes * 8), collections.OrderedDict()

    def touch(self, sector):
        line, bit = sector >> 2, 1 << (sector & 3)
        there = self.lines.pop(line, 0)
        self.lines[line] = there | bit
        if len(self.lines) > self.most:
            self.lines.popitem(last=False)
        return bool(there & bit)


class Warp:
    def __init__(self, steps, slot, number, now):
        self.steps, self.slot, self.at, self.ready = steps, slot, 0, now
        self.scoreboards, self.quarter, self.at_barrier, self.age = [0] * 6, number % 4, False, now * 100 + number
        self.copies, self.copy_groups, self.batch, self.batches = 0, [], [], []


class Product:
    """A warp's part of a product: four steps, each a fourth of its cycles and of what it reads of shared memory."""

    def __init__(self, op):
        self.columns = int(op.split(".")[1].split("x")[1])
        self.left, self.end = 4, None


class Multiprocessor:
    def __init__(self, instructions, blocks, at_once, l1_kilobytes=28, model=MODEL):
        self.ins, self.kinds, self.model = instructions, [kind_of(i.op) for i in instructions], model
        self.queue, self.at_once, self.l1, self.count = list(blocks), at_once, L1(l1_kilobytes), collections.Counter()

    def run(self, stagger=300):
        self.live, self.slots, self.next = [], {}, 0
        for slot in range(min(self.at_once, len(self.queue))):
            self.start(slot, slot * stagger)
        self.pipes = [collections.Counter() for _ in range(4)]  # when free, per quarter
        self.fma = [[0, 0] for _ in range(4)]
        self.products, self.arrivals = [collections.deque() for _ in range(4)], []
        self.shared = self.lsu = self.l2 = 0.0
        now = 0
        while self.live:
            soonest = self.background(now)
            issued = False
            for q in range(4):
                warp, wake = self.choose(q, now)
                soonest = min(soonest, wake)
                if warp:
                    issued = True
                    self.issue(warp, q, now)
            now = now + 1 if issued else int(max(now + 1, np.ceil(min(soonest, now + 10**6))))
        self.cycles = now
        return self

    def start(self, slot, now):
        warps = [Warp(steps, slot, k, now) for k, steps in enumerate(self.queue[self.next])]
        self.slots[slot] = warps
        self.live += warps
        self.next += 1

    def take_shared(self, now, passes):
        self.shared = max(self.shared, now) + passes
        self.count["shared passes"] += passes

    def background(self, now):
        """What goes on without warps; returns when more of it may happen."""
        soonest = 10**12
        while self.arrivals and self.arrivals[0][0] <= now:
            self.take_shared(now, heapq.heappop(self.arrivals)[1])
        if self.arrivals:
            soonest = self.arrivals[0][0]
        for q in range(4):
            pipe, waiting = self.pipes[q], self.products[q]
            while waiting:
                begin = max(pipe["tensor"], self.shared - self.model["backlog"])
                if begin > now:
                    soonest = min(soonest, begin)
                    break
                product = waiting[0]
                self.take_shared(now, product.passes / 16)
                pipe["tensor"] = now + product.columns / 8
                self.count["group product cycles"] += product.columns / 8
                product.left -= 1
                if product.left == 0:
                    product.end = pipe["tensor"] + self.model["group_product_latency"]
                    waiting.popleft()
        return soonest

    def choose(self, q, now):
        """The oldest warp of a quarter that can issue, or when one may."""
        best, soonest = None, 10**12
        for w in self.live:
            if w.quarter != q or w.at_barrier:
                continue
            free = self.free_at(w, q, now)
            if free > now:
                soonest = min(soonest, free)
            elif best is None or w.age < best.age:
                best = w
        return best, soonest

    def free_at(self, w, q, now):
        if w.ready > now:
            return w.ready
        n, active, _ = w.steps[w.at]
        i, kind, pipe = self.ins[n], self.kinds[n], self.pipes[q]
        at = max((w.scoreboards[b] for b in range(6) if i.wait >> b & 1), default=0)
        if at > now or (active == 0 and kind != "control"):
            return at
        if kind == "fma":
            return min(self.fma[q])
        if kind == "heavy":
            return self.fma[q][0]
        if kind in MEMORY:
            return max(pipe["memory"], self.shared - self.model["backlog"], self.lsu - 40 if kind in GLOBAL else 0)
        if kind == "await copies":
            done = len(w.copy_groups) - int(i.rest.split(",")[1], 16)
            return max(w.copy_groups[:done], default=0) if done > 0 else 0
        if kind == "await products":
            done = len(w.batches) - int(i.rest.split(",")[1], 16)
            ends = [p.end for batch in w.batches[: max(done, 0)] for p in batch]
            return 10**12 if None in ends else max(ends, default=0)
        return pipe[kind]

    def issue(self, w, q, now):
        n, active, cost = w.steps[w.at]
        i, kind, pipe, model = self.ins[n], self.kinds[n], self.pipes[q], self.model
        self.count["issued"] += 1
        self.count[kind] += 1
        stall, latency = max(1, i.stall), 0
        if active > 0 or kind == "control":
            if kind == "fma":
                half = 1 if self.fma[q][1] <= now else 0
                self.fma[q][half] = now + 2
            elif kind == "heavy":
                self.fma[q][0] = now + 2
            elif kind in ("alu", "uniform"):
                pipe[kind] = now + 2
            elif kind == "special":
                pipe[kind], latency = now + 8, model["special"]
            elif kind == "warp product":
                pipe[kind], latency = max(pipe[kind], now) + model["warp_product"], model["warp_product_latency"]
            elif kind == "group product":
                product = Product(i.op)
                # The right operand once for the four warps, the left one too where it lies in shared memory.
                product.passes = product.columns / 4 + (0 if i.rest.split(",")[1].strip().startswith("R") else 16)
                self.products[q].append(product)
                w.batch.append(product)
                if "gsb0" in i.rest:
                    w.batches.append(w.batch)
                    w.batch = []
            elif kind == "fence":
                stall = max(stall, model["fence"])
            elif kind == "close copies":
                w.copy_groups.append(w.copies)
                w.copies = 0
            elif kind in MEMORY:
                pipe["memory"] = now + 2
                latency = self.access(w, kind, cost, now)
        if i.wb != 7 and kind != "close copies":
            w.scoreboards[i.wb] = max(w.scoreboards[i.wb], now + max(latency, 4))
        if i.rb != 7:
            w.scoreboards[i.rb] = max(w.scoreboards[i.rb], now + (10 if kind in MEMORY else 6))
        w.ready = now + stall
        w.at += 1
        last = w.at >= len(w.steps)
        if i.op.startswith("BRA") and active > 0 and not last and self.ins[w.steps[w.at][0]].addr != i.addr + 16:
            w.ready = now + max(stall, model["branch"])
        if kind == "barrier" and active > 0:
            w.at_barrier = True
            self.release(w.slot, now)
        if last:
            self.live.remove(w)
            if all(x.at >= len(x.steps) for x in self.slots[w.slot]):
                if self.next < len(self.queue):
                    self.start(w.slot, now + 50)
            else:
                self.release(w.slot, now)

    def release(self, slot, now):
        warps = [x for x in self.slots[slot] if x.at < len(x.steps)]
        if warps and all(x.at_barrier for x in warps):
            for x in warps:
                x.at_barrier, x.ready = False, max(x.ready, now + self.model["barrier"])

    def access(self, w, kind, cost, now):
        """Latency of an access to memory."""
        model = self.model
        if kind in SHARED:
            self.take_shared(now, cost or 1)
            return self.shared - now + (model["shared"] - 1 if kind == "shared load" else 8)
        if kind == "shuffle":
            self.take_shared(now, 1)
            return self.shared - now + model["shuffle"] - 1
        if kind not in GLOBAL:
            return model[kind]
        sectors, lines, bytes_, *rest = cost
        self.lsu = max(self.lsu, now) + max(lines * 0.5, bytes_ / 128, 1)
        self.count["sectors"] += len(sectors)
        bypasses = kind == "store" or (kind == "copy" and "BYPASS" in self.ins[w.steps[w.at][0]].op)
        missed = len(sectors) if bypasses else sum(not self.l1.touch(s) for s in sectors)
        if missed:
            self.l2 = max(self.l2, now) + missed * 32 / model["l2_bytes"]
            self.count["L2 cycles"] += missed * 32 / model["l2_bytes"]
        if kind == "store":
            return 20
        latency = (self.l2 - now + model["l2"] if missed else model["l1"]) + max(0, self.lsu - now)
        if kind == "copy":
            w.copies = max(w.copies, now + latency)
            heapq.heappush(self.arrivals, (now + latency, rest[0]))
            return 10
        return latency
