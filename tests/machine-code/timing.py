"""A model of one multiprocessor, driven by what the warps of a few blocks executed: issue, pipes, the stall counts and scoreboards in the
machine code itself, passes of shared memory, L1 by sectors, the bandwidth of L2, tensor cores. Rates are nominal."""

import collections
import heapq
import itertools

import numpy as np

CLOCK = 1.755e9
SERIAL = itertools.count()  # orders what happens at once
MULTIPROCESSORS = 132
MODEL = dict(
    shared=29, shuffle=24, l1=38, l2=270, special=22, s2r=22, constant=30, barrier=22, branch=8, fence=40,  # cycles of latency
    warp_product=6.36, warp_product_latency=33, group_product_latency=33,
    l2_bytes=6.65e12 / MULTIPROCESSORS / CLOCK,  # per cycle and multiprocessor: 28.7
    backlog=24,  # passes of shared memory that may wait before issue does
    # All of these are assumed. The copy engine adds 100 cycles to L2's latency, and otherwise keeps up with L2; a box arrives in pieces, a
    # multicast one at all its blocks at once, each charged its share of what L2 sends and all of the writes to shared memory.
    box=270 + 100, piece=128,
    phase=29, arrive=29, arrive_far=200,  # a look at an mbarrier, an arrival at one of this block, of another
    meeting=200,  # from the last arrival at the barrier of a cluster
    fence_all=2 * 270,  # MEMBAR.ALL.GPU
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
    "control": "BRA BSSY BSYNC EXIT CALL RET WARPSYNC BREAK NOP ENDCOLLECTIVE YIELD ERRBAR CGAERRBAR CCTL",
    "box": "UTMALDG",
    "meet": "UCGABAR_ARV",
    "await meeting": "UCGABAR_WAIT",
}
KIND = {op: kind for kind, ops in KINDS.items() for op in ops.split()}
SHARED = {"shared load", "shared store"}
GLOBAL = {"load", "store", "copy"}
BARRIERS = {"make barrier", "arrive", "await phase"}
MEMORY = SHARED | GLOBAL | BARRIERS | {"shuffle", "constant", "s2r"}


def kind_of(op):
    first, *mods = op.split(".")
    if first == "WARPGROUP":
        return "await products" if "DEPBAR" in mods else "alu"
    if first == "LDGDEPBAR":
        return "close copies"
    if first == "DEPBAR":
        return "await copies"
    if first == "SYNCS":
        return {"EXCH": "make barrier", "ARRIVE": "arrive", "PHASECHK": "await phase"}[mods[0]]
    if op == "MEMBAR.ALL.GPU":
        return "fence of all"
    if first.startswith("U") and first not in KIND:
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
            if kinds[n] in BARRIERS or kinds[n] == "box":
                cost = memory
            elif memory is not None and active > 0:
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
        self.copies, self.copy_groups, self.batch, self.batches, self.met = 0, [], [], [], 0


class Product:
    """A warp's part of a product: four steps, each a fourth of its cycles and of what it reads of shared memory."""

    def __init__(self, op):
        self.columns = int(op.split(".")[1].split("x")[1])
        self.left, self.end = 4, None


class Barrier:
    """An mbarrier, and when its phases were complete."""

    def __init__(self, count):
        self.count, self.pending, self.bytes, self.latest, self.complete = count, count, 0, 0, []

    def change(self, arrivals, bytes_, now):
        self.pending, self.bytes, self.latest = self.pending - arrivals, self.bytes + bytes_, max(self.latest, now)
        if self.pending == 0 and self.bytes == 0:
            self.complete.append(self.latest)
            self.pending, self.latest = self.count, 0


class Meetings:
    """At the barrier of a cluster: when the last warp arrived."""

    def __init__(self, warps):
        self.warps, self.arrived = warps, collections.defaultdict(list)

    def opened(self, number):
        arrived = self.arrived[number]
        return max(arrived) if len(arrived) == self.warps else 10**12


def side_by_side(multiprocessors, stagger=300):
    """Those of a cluster, one block each, or one of its own."""
    meetings = Meetings(sum(len(block) for m in multiprocessors for block in m.queue))
    for m in multiprocessors:
        m.begin(multiprocessors, meetings, stagger)
    now = 0
    while any(m.live for m in multiprocessors):
        assert now < 10**9, "nobody can go on"
        soonest = min(m.step(now) for m in multiprocessors if m.live)
        now = int(max(now + 1, np.ceil(min(soonest, now + 10**6))))
    return now


class Multiprocessor:
    def __init__(self, instructions, blocks, at_once, l1_kilobytes=28, model=MODEL):
        self.ins, self.kinds, self.model = instructions, [kind_of(i.op) for i in instructions], model
        self.queue, self.at_once, self.l1, self.count = list(blocks), at_once, L1(l1_kilobytes), collections.Counter()

    def run(self, stagger=300):
        self.cycles = side_by_side([self], stagger)
        return self

    def begin(self, cluster, meetings, stagger):
        self.cluster, self.meetings, self.barriers, self.serial = cluster, meetings, {}, itertools.count()
        self.live, self.slots, self.next = [], {}, 0
        for slot in range(min(self.at_once, len(self.queue))):
            self.start(slot, slot * stagger)
        self.pipes = [collections.Counter() for _ in range(4)]  # when free, per quarter
        self.fma = [[0, 0] for _ in range(4)]
        self.products, self.arrivals = [collections.deque() for _ in range(4)], []
        self.shared = self.lsu = self.l2 = 0.0

    def step(self, now):
        """What begins now; returns when more may."""
        soonest, issued = self.background(now), False
        for q in range(4):
            warp, wake = self.choose(q, now)
            soonest = min(soonest, wake)
            if warp:
                issued = True
                self.issue(warp, q, now)
        return now + 1 if issued else soonest

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
            _, _, passes, barrier, *change = heapq.heappop(self.arrivals)
            if passes:
                self.take_shared(now, passes)
            if barrier:
                barrier.change(*change, max(now, self.shared) if passes else now)
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
            complete = self.complete_at(*w.steps[w.at][2][1:]) if kind == "await phase" else 0
            return max(complete, pipe["memory"], self.shared - self.model["backlog"], self.lsu - 40 if kind in GLOBAL else 0)
        if kind == "await meeting":
            return self.meetings.opened(w.met) + self.model["meeting"]
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
            elif kind == "fence of all":
                stall = max(stall, model["fence_all"])
            elif kind == "meet":
                w.met += 1
                self.meetings.arrived[w.met].append(now)
            elif kind == "box":
                pipe["uniform"] = now + 2
                self.send(now, *cost[1:])
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
        if kind in BARRIERS:
            self.take_shared(now, 1)
            if kind == "make barrier":
                self.barriers[cost[2]] = Barrier(cost[3])
            if kind == "arrive":
                for rank, place, expected in cost[1]:
                    there = self.cluster[rank]
                    time = now + model["arrive" if there is self else "arrive_far"]
                    there.later(time, 0, there.barriers[place], 1, expected)
            return model["phase"] if kind == "await phase" else 8
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
            self.later(now + latency, rest[0])
            return 10
        return latency

    def later(self, time, passes, barrier=None, *change):
        """What arrives here then: passes over shared memory, and what an mbarrier counts."""
        heapq.heappush(self.arrivals, (time, next(SERIAL), passes, barrier, *change))

    def send(self, now, ranks, place, size):
        """A box, to these blocks."""
        targets = [self.cluster[rank] for rank in ranks]
        for _ in range(size // self.model["piece"]):
            cycles = self.model["piece"] / self.model["l2_bytes"] / len(targets)
            for t in targets:
                t.l2 = max(t.l2, now) + cycles
                t.count["L2 cycles"] += cycles
            time = max(t.l2 for t in targets) + self.model["box"]
            for t in targets:
                t.later(time, self.model["piece"] / 128, t.barriers[place], 0, -self.model["piece"])

    def complete_at(self, _, place, phase):
        """When so many phases of an mbarrier of this block were."""
        complete = self.barriers[place].complete
        return 0 if phase == 0 else complete[phase - 1] if len(complete) >= phase else 10**12
