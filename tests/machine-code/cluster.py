"""The blocks of a cluster, executed by turns, and what each of their warps knows of the others.

Every warp counts what it has told others, by arriving at a barrier of any kind; an mbarrier counts its phases. `known` of a warp is how far
each of these counts had come when it last heard of them, from whomever. Of two accesses one comes before the other only if its time is known
there: what the turns happen to be is no order.
"""

import collections

import numpy as np

MOST_BARRIERS = 64


class Cluster:
    def __init__(self, machines):
        self.machines = machines
        self.warps = [w for m in machines for w in m.warps]
        self.copies, self.barriers = [], 0
        self.meetings = collections.defaultdict(lambda: np.zeros(self.counts(), np.int64))
        for rank, machine in enumerate(machines):
            machine.join(self, rank)
        for number, w in enumerate(self.warps):
            w.number, w.known = number, np.zeros(self.counts(), np.int64)
            w.known[number] = 1
            w.held, w.met, w.tried = None, 0, None

    def counts(self):
        return len(self.warps) + MOST_BARRIERS

    def new_count(self):
        """Of an mbarrier: where its phases stand in `known`."""
        self.barriers += 1
        assert self.barriers <= MOST_BARRIERS
        return len(self.warps) + self.barriers - 1

    def run(self):
        from machine import Fault

        while not all(w.done for w in self.warps):
            moved = False
            for machine in self.machines:
                for w in machine.warps:
                    if w.done or w.atbar or (w.held and not w.held.over()):
                        continue
                    w.held = None
                    machine.run_warp(w)
                    moved = True
                moved |= self.meet(machine)
                self.leave(machine)
            if not moved and not self.arrive_late():
                waits = (f"block {w.machine.rank}, warp {w.id}: {w.held or 'barrier of the block'}" for w in self.warps if not w.done)
                raise Fault("nobody can go on: " + "; ".join(waits))

    def meet(self, machine):
        """The barrier of a block."""
        alive = [w for w in machine.warps if not w.done]
        if not alive or not all(w.atbar for w in alive):
            return False
        machine.barriers += 1
        all_know = np.max([w.known for w in alive], axis=0)
        for w in alive:
            w.atbar = False
            learn(w, all_know)
            tell(w)
        return True

    def arrive(self, w):
        """At the barrier of the cluster; the last one opens it."""
        w.met += 1
        told = self.meetings[w.met]
        np.maximum(told, tell(w), out=told)
        if self.all_met(w.met):
            for machine in self.machines:
                machine.barriers += 1

    def all_met(self, times):
        return all(w.done or w.met >= times for w in self.warps)

    def arrive_late(self):
        """Lets one copy arrive that somebody waits for, the last one to be asked for."""
        wanted = [w.held.barrier for w in self.warps if w.held and hasattr(w.held, "barrier")]
        copy = next((c for c in reversed(self.copies) if c.barrier in wanted), None)
        if copy:
            self.copies.remove(copy)
            copy.arrive()
        return copy is not None

    def leave(self, machine):
        """A block leaves with its last warp: all that others do to it must be known to be over."""
        if machine.known_at_end is not None or not all(w.done for w in machine.warps):
            return
        machine.known_at_end = np.max([w.known for w in machine.warps], axis=0)
        for copy in self.copies:
            if copy.machine is machine:
                machine.races["a block leaves before a copy to it", copy.line] += 1
        for (count, line), time in machine.reached.items():
            if machine.known_at_end[count] < time:
                machine.races["a block leaves before somebody reaches it", line] += 1


def learn(w, known):
    np.maximum(w.known, known, out=w.known)


def tell(w):
    """What w knows, as it tells it now."""
    known = w.known.copy()
    w.known[w.number] += 1
    return known


class Meeting:
    """What a warp waits for at the barrier of the cluster."""

    def __init__(self, cluster, times):
        self.cluster, self.times = cluster, times

    def over(self):
        return self.cluster.all_met(self.times)

    def __str__(self):
        return "barrier of the cluster"
