"""Hopper's copy engine and the barriers in shared memory that count arrivals and bytes (mbarriers).

A box arrives as late as it may: when nobody can go on and somebody waits for its barrier. From when it is asked for until then nobody may
touch where it goes; and whoever asks must know that all who did are done.
"""

import re

import numpy as np

import cluster

ROW = 128  # bytes of a box's row
NO_COUNT = -1
BARRIER_BYTES = 8
MANY = 0x100000  # a barrier is made of this less the arrivals it counts


def begin(machine):
    """Per 16 bytes: when products and others were last there, by warps; accesses no fence has shown; which box they came by."""
    chunks, warps = len(machine.smem) // 16, len(machine.warps)
    machine.mbarriers, machine.reached, machine.known_at_end = {}, {}, None
    machine.has_boxes = any(i.op.startswith(("UTMALDG", "SYNCS")) for i in machine.ins)
    if machine.has_boxes:
        machine.multiplied = np.zeros((chunks, warps), np.int64)
        machine.touched = np.zeros((chunks, warps), np.int64)
        machine.not_shown = np.zeros((chunks, warps), bool)
        machine.brought_by = np.full(chunks, NO_COUNT, np.int64)
        machine.brought_in = np.zeros(chunks, np.int64)
        machine.of_barriers = np.zeros(len(machine.smem), bool)
        for w in machine.warps:
            w.touched = []


class TensorMap:
    """A matrix in memory: rows of so many bytes, `stride` apart, and how many rows a box takes."""

    def __init__(self, memory, at, row_bytes, rows, stride, box_rows, size):
        assert at % 16 == 0 and stride % 16 == 0 and box_rows <= 256, "not what the driver takes"
        self.memory, self.at, self.row_bytes, self.rows, self.stride = memory, at, row_bytes, rows, stride
        self.box_rows, self.size = box_rows, size

    def box(self, x, y):
        """Its bytes, zeros beyond the matrix."""
        bytes_ = np.zeros((self.box_rows, ROW), np.uint8)
        first = x * self.size
        begin, end = max(first, 0), min(first + ROW, self.row_bytes)
        for row in range(max(y, 0), min(y + self.box_rows, self.rows)):
            if begin < end:
                bytes_[row - y, begin - first : end - first] = self.memory.get(self.at + row * self.stride + begin, end - begin, np.uint8)
        return bytes_


class Barrier:
    """Of one phase after the other, each of so many arrivals and as many bytes as they say."""

    def __init__(self, machine, w, count, line):
        self.machine, self.count, self.line = machine, count, line
        self.pending, self.bytes, self.phase = count, 0, 0
        self.place = machine.cluster.new_count()
        self.maker, self.made, self.shown = w, w.known[w.number], False
        self.told = np.zeros(machine.cluster.counts(), np.int64)
        self.known = self.told.copy()  # once the last phase was complete

    def used(self, w, line):
        if w.known[self.maker.number] < self.made:
            self.machine.races["barrier that nobody knows to be made", line] += 1

    def arrive(self, w, line):
        from machine import Fault

        if self.pending == 0:
            raise Fault(f"more arrivals than the barrier of line {self.line} counts, line {line}")
        self.pending -= 1
        np.maximum(self.told, cluster.tell(w), out=self.told)
        self.look(line)

    def look(self, line):
        from machine import Fault

        if self.pending == 0 and self.bytes < 0:
            raise Fault(f"more bytes than expected at the barrier of line {self.line}, line {line}")
        if self.pending == 0 and self.bytes == 0:
            self.phase += 1
            self.pending = self.count
            self.told[self.place] = self.phase
            self.known = self.told.copy()


class Phase:
    """What a warp waits for at such a barrier."""

    def __init__(self, barrier, parity, line):
        self.barrier, self.parity, self.line = barrier, parity, line

    def over(self):
        return self.barrier.phase % 2 != self.parity

    def __str__(self):
        b = self.barrier
        return f"line {self.line}: parity {self.parity} of the barrier of line {b.line} ({b.pending} arrivals and {b.bytes} bytes are missing)"


class Copy:
    """A box on its way to one block."""

    def __init__(self, machine, w, at, barrier, data, line):
        self.machine, self.at, self.barrier, self.data, self.line = machine, at, barrier, data, line
        self.bytes, self.known = data.size, w.known.copy()

    def begin(self, w):
        m, chunks = self.machine, np.unique(self.at >> 4)

        def race(what):
            m.races[what, self.line] += 1

        if m.known_at_end is not None:
            race("copy to a block that has left")
        if (m.copying[self.at] >= 0).any():
            race("copy under a copy")
        if m.under_products[chunks].any():
            race("copy under a product")
        own = [v.number for v in m.warps]
        if (m.multiplied[chunks].max(0) > w.known[own]).any():
            race("copy to where products are not known to be over")
        if (m.touched[chunks].max(0) > w.known[own]).any():
            race("copy to where accesses are not known to be over")
        if m.not_shown[chunks].any():
            race("copy to where no fence has shown accesses")
        by, phase = m.brought_by[chunks], m.brought_in[chunks]
        if (w.known[by[by != NO_COUNT]] <= phase[by != NO_COUNT]).any():
            race("copy to where one is not known to have arrived")
        if m.of_barriers[self.at].any():
            race("copy to a barrier")
        m.copying[self.at] = w.number

    def arrive(self):
        m = self.machine
        if m.numbers:
            chunks = np.unique(self.at >> 4)
            m.smem[self.at], m.smem_init[self.at], m.copying[self.at] = self.data.ravel(), True, -1
            m.we[self.at], m.shown[chunks] = -1, -1
            m.brought_by[chunks], m.brought_in[chunks] = self.barrier.place, self.barrier.phase
            key = self.barrier.place, self.line
            m.reached[key] = max(m.reached.get(key, 0), self.barrier.phase + 1)
        np.maximum(self.barrier.told, self.known, out=self.barrier.told)
        self.barrier.bytes -= self.bytes
        self.barrier.look(self.line)


def touches(machine, w, at, line):
    """Accesses that are not the copy engine's or products'."""
    if not machine.has_boxes:
        return
    chunks = np.unique(at >> 4)
    machine.touched[chunks, w.id] = w.known[w.number]
    machine.not_shown[chunks, w.id] = True
    w.touched.append(chunks)
    if machine.of_barriers[at].any():
        machine.races["access to a barrier", line] += 1


def wrote(machine, chunks):
    if machine.has_boxes:
        machine.brought_by[chunks] = NO_COUNT


def reads(machine, w, at, line):
    """What a box has brought is there for those who know so."""
    if not machine.has_boxes:
        return
    chunks = np.unique(at >> 4)
    by, phase = machine.brought_by[chunks], machine.brought_in[chunks]
    if (w.known[by[by != NO_COUNT]] <= phase[by != NO_COUNT]).any():
        machine.races["access to what it does not know to have arrived", line] += 1


def multiplied(machine, w, chunks):
    """Its products with these are over."""
    if machine.has_boxes:
        machine.multiplied[chunks, w.id] = w.known[w.number]


def show(machine, w):
    """A fence."""
    if machine.has_boxes:
        for chunks in w.touched:
            machine.not_shown[chunks, w.id] = False
        w.touched = []
    for barrier in machine.mbarriers.values():
        if barrier.maker is w:
            barrier.shown = True


def build(machine, i, op, mods, a):
    """The function of an instruction, or None if it is none of these."""
    from machine import Fault

    S, clustered = machine, lambda: machine.cluster

    def block_and_place(address):
        """Of an address in any block of the cluster."""
        rank = address >> 24
        if rank >= len(clustered().machines):
            raise Fault(f"no such block of the cluster: {i.text} {hex(address)}")
        return clustered().machines[rank], (address & 0xFFFFFF) - S.window

    def barrier_at(address):
        m, at = block_and_place(address)
        if at not in m.mbarriers:
            raise Fault(f"no barrier was made there: {i.text} line {i.line}")
        return m.mbarriers[at]

    if op == "ELECT":
        d = S.wp(a[0])

        def elect(w, m):
            first = np.arange(32) == np.argmax(m)
            d(w, m, first)

        return elect
    if op == "UCGABAR_ARV":
        return lambda w, m: clustered().arrive(w)
    if op == "UCGABAR_WAIT":

        def wait_for_cluster(w, m):
            meeting = cluster.Meeting(clustered(), w.met)
            if not meeting.over():
                w.held = meeting
                return
            cluster.learn(w, clustered().meetings[w.met])

        return wait_for_cluster
    if op in ("ERRBAR", "CGAERRBAR", "CCTL"):
        return lambda w, m: None
    if op == "SYNCS" and mods[:2] == ["EXCH", "64"]:
        where, value = S.address(a[1], True), int(a[2][2:])

        def make(w, m):
            address = int(where(w)[np.argmax(m)])
            there, at = block_and_place(address)
            count = MANY - (w.UR[value] >> 1)
            if there is not S or at % BARRIER_BYTES or w.UR[value + 1] != (MANY - count) << 11 & 0xFFFFFFFF:
                raise Fault("not how a barrier is made: " + i.text)
            S.check_shared(i, np.array([at]), BARRIER_BYTES)
            S.mbarriers[at] = Barrier(S, w, count, i.line)
            S.of_barriers[at : at + BARRIER_BYTES] = True
            w.last = ("make", S.rank, at, count)

        return make
    if op == "SYNCS" and mods[:2] == ["ARRIVE", "TRANS64"] and mods[2:] in ([], ["A1T0"], ["RED", "A1T0"]):
        where, bytes_ = S.address(a[1], True), S.opnd(a[2])
        expects = not mods[2:]

        def arrive(w, m):
            addresses, expected, told = where(w), bytes_(w), []
            for lane in np.nonzero(m)[0]:
                barrier = barrier_at(int(addresses[lane]))
                there, at = block_and_place(int(addresses[lane]))
                barrier.used(w, i.line)
                if there.known_at_end is not None:
                    raise Fault(f"arrives at a barrier of a block that has left, line {i.line}")
                barrier.bytes += int(expected[lane]) if expects else 0
                key = w.number, i.line
                there.reached[key] = w.known[w.number]
                barrier.arrive(w, i.line)
                told.append((there.rank, at, int(expected[lane]) if expects else 0))
            w.last = ("arrive", told)

        return arrive
    if op == "SYNCS" and mods == ["PHASECHK", "TRANS64", "TRYWAIT"]:
        d, where, parity = S.wp(a[0]), S.address(a[1], True), S.opnd(a[2])

        def try_wait(w, m):
            places = {(int(x), int(p)) for x, p in zip(where(w)[m], parity(w)[m])}
            if len(places) != 1:
                raise Fault("lanes wait for different barriers: " + i.text)
            address, bits = places.pop()
            barrier = barrier_at(address)
            if barrier.machine is not S or bits & 0x7FFFFFFF:
                raise Fault("waits for what it may not: " + i.text)
            barrier.used(w, i.line)
            phase = Phase(barrier, bits >> 31, i.line)
            if phase.over():
                w.tried = None
                cluster.learn(w, barrier.known)
                w.last = ("phase", S.rank, block_and_place(address)[1], barrier.phase)
                d(w, m, np.ones(32, bool))
            elif S.numbers and w.tried is not barrier:
                w.tried = barrier  # such a wait may give up at any time
                d(w, m, np.zeros(32, bool))
            else:
                w.held = phase

        return try_wait
    if op == "UTMALDG" and mods in (["2D"], ["2D", "MULTICAST"]):
        to, of = (int(re.fullmatch(r"\[UR(\d+)\]", t).group(1)) for t in a[:2])
        blocks = int(a[2][2:]) if len(a) > 2 else None

        def copy(w, m):
            place, at_barrier, x, y = (w.UR[to + k] & 0xFFFFFFFF for k in range(4))
            described = S.maps.get((w.UR[of] & 0xFFFFFFFF) | (w.UR[of + 1] & 0xFFFFFFFF) << 32)
            if described is None:
                raise Fault("no map of a matrix there: " + i.text)
            (own, start), (beside, counted) = block_and_place(place), block_and_place(at_barrier)
            targets = [own] if blocks is None else [t for t in clustered().machines if w.UR[blocks] >> 16 + t.rank & 1]
            if own is not beside or (blocks is not None and w.UR[blocks] >> 16 + len(clustered().machines)):
                raise Fault("copy to no block, or its barrier elsewhere: " + i.text)
            if start % ROW:
                raise Fault("misaligned copy " + i.text)
            signed = lambda v: v - (1 << 32) if v >> 31 else v
            size = described.box_rows * ROW
            w.last = ("box", [t.rank for t in targets], counted, size)
            data = described.box(signed(x), signed(y)) if S.numbers else np.zeros((described.box_rows, ROW), np.uint8)
            at = start + S.window + np.arange(described.box_rows)[:, None, None] * ROW + np.arange(8)[:, None] * 16
            at = ((at ^ (at >> 7 & 7) << 4) - S.window + np.arange(16)).ravel()
            for t in targets:
                S.check_shared(i, at[[0, -1]] & ~15, 16)
                if counted not in t.mbarriers:
                    raise Fault(f"no barrier was made there: {i.text} line {i.line}")
                barrier = t.mbarriers[counted]
                barrier.used(w, i.line)
                if not barrier.shown:
                    S.races["barrier that no fence has shown", i.line] += 1
                one = Copy(t, w, at, barrier, data, i.line)
                if S.numbers:
                    one.begin(w)
                clustered().copies.append(one)

        return copy
    return None
