"""Faults in the built-in stores."""

import test_stores_conform as sound
from mutation import Mutant

VALID, WINDOWS = "schedule is valid", "windows are those"


def full(fault, old, new, caught_by):
    return Mutant(fault, sound.TestFullHistory, "rnnframe_full_history", old, new, caught_by)


def queue(fault, old, new, caught_by, suite=sound.TestCircularQueue):
    return Mutant(fault, suite, "rnnframe_circular_queue", old, new, caught_by)


def policy(fault, old, new, caught_by, suite=sound.TestThreeUniformCheckpoints):
    policies, home = "rnnframe_checkpoint.policies", "rnnframe_checkpoint.store"
    return Mutant(fault, suite, policies, old, new, caught_by, home)


def checkpoint(fault, old, new, caught_by, suite):
    return Mutant(fault, suite, "rnnframe_checkpoint.store", old, new, caught_by)


def mixed(fault, old, new, caught_by, suite=sound.TestMixed):
    return Mutant(fault, suite, "rnnframe_checkpoint.mixed", old, new, caught_by, "rnnframe_checkpoint.store")


def states(fault, old, new, caught_by):
    return Mutant(fault, sound.TestStates, "rnnframe_states", old, new, caught_by)


def auto(fault, old, new):
    return Mutant(fault, sound.TestAuto, "rnnframe_auto", old, new, "budget")


START = "(max(0, t + self.k1 - self.k2), t, end)"
FORGET = "Forget(reached if over else grid.cut_at_or_after(max(0, t + self.k1 - self.k2)))"
SAVED = """        yield Save(n)
        yield Forward(cuts[n], cuts[n + 1], keep=False)
"""
AFTERWARDS = """        yield Forward(cuts[n], cuts[n + 1], keep=False)
        yield Save(n)
"""

MUTANTS = [
    full("no tape is kept", "keep=True", "keep=False", VALID),
    full(
        "the last chunk is left out",
        "Forward(0, grid.chunks, keep=True)",
        "Forward(0, grid.chunks and grid.chunks - 1, keep=True)",
        VALID,
    ),
    full("the first chunk is not reversed", "Reverse(reached, 0)", "Reverse(reached, 1 if reached > 1 else 0)", VALID),
    full("the tapes stay in the ring", "Reverse(reached, 0)", "Reverse(reached, 0, keep=True)", VALID),
    full("the first loss is left out", "Reverse(reached, 0)", "Reverse(reached, 0, losses_from=reached - 1)", VALID),
    full(
        "all is reversed twice",
        "Reverse(reached, 0)\n",
        "Reverse(reached, 0)\n            yield Reverse(reached, 0)\n",
        VALID,
    ),
    full("the end of a stream is overlooked", "Reverse(reached, 0)", "Reverse(grid.chunks or 2, 0)", "unknown length"),
    full(
        "exactness is denied",
        "    unknown_length: ClassVar[bool] = True\n",
        "    unknown_length: ClassVar[bool] = True\n    exact: ClassVar[bool] = False\n",
        "reverses what it says",
    ),
    full(
        "chunks are longer than asked",
        "    def schedule(",
        "    def grid(self, steps, chunk):\n        return Grid(steps, (chunk + 1,))\n\n    def schedule(",
        "grid covers",
    ),
    full(
        "a state is saved and stays",
        "        reached = yield",
        "        yield __import__('rnnframe').Save(0)\n        reached = yield",
        VALID,
    ),
    full(
        "the schedule changes from call to call",
        "        reached = yield Forward(0, grid.chunks, keep=True)\n",
        """        CALLS = globals().setdefault("CALLS", [])
        CALLS.append(1)
        if len(CALLS) % 2:
            yield Forward(0, 0, keep=True)
        reached = yield Forward(0, grid.chunks, keep=True)
""",
        "same every time",
    ),
    queue("a window that begins a step late", START, "(max(0, t + 1 + self.k1 - self.k2), t, end)", WINDOWS),
    queue("a window that begins a step early", START, "(max(0, t - 1 + self.k1 - self.k2), t, end)", WINDOWS),
    queue("chunks are not cut where windows begin", "back = self.k2 % self.k1\n", "back = 0\n", WINDOWS),
    queue("losses count once for every window", "losses_from=now", "losses_from=start", VALID),
    queue("tapes leave that the next window needs", "losses_from=now, keep=True", "losses_from=now, keep=False", VALID),
    queue("nothing is forgotten", FORGET, "Forget(reached if over else 0)", "in vain"),
    queue(
        "a chunk too many is forgotten",
        FORGET,
        "Forget(reached if over else 1 + grid.cut_at_or_after(max(0, t + self.k1 - self.k2)))",
        VALID,
    ),
    queue("tapes are left at the end", "Forget(reached if over else", "Forget(now if over else", VALID),
    queue("the sequence ends behind its end", "else min(t + self.k1, grid.steps)", "else t + self.k1", VALID),
    queue(
        "the last window is skipped",
        "            if over:\n",
        "            if over or (grid.steps is not None and t + self.k1 > grid.steps):\n",
        VALID,
    ),
    # What ends a stream is asked twice, and either answer is enough: a mutant that drops one is no fault.
    queue(
        "a stream is reversed from behind its end", "Reverse(reached, start,", "Reverse(stop, start,", "unknown length"
    ),
    queue(
        "no update",
        "            yield Update()\n",
        "",
        "weights of their time",
        suite=sound.TestCircularQueueWithStoredWeights,
    ),
    queue("exactness is claimed", "exact: ClassVar[bool] = False", "exact: ClassVar[bool] = True", "full history"),
    policy(
        "a snapshot is not dropped",
        "            yield Load(n)\n            yield Drop(n)\n",
        "            yield Load(n)\n",
        VALID,
    ),
    policy(
        "a snapshot is not loaded",
        "            yield Load(n)\n            yield Drop(n)\n",
        "            yield Drop(n)\n",
        VALID,
    ),
    policy("every state goes into one slot", "yield Save(n)\n", "yield Save(0)\n", VALID),
    policy("the state after a segment is saved", SAVED, AFTERWARDS, VALID),
    policy("the first segment is left out", "for n in range(segments + 1)]", "for n in range(1, segments + 1)]", VALID),
    policy(
        "a segment's tapes stay",
        "yield Reverse(cuts[n + 1], cuts[n])",
        "yield Reverse(cuts[n + 1], cuts[n], keep=True)",
        VALID,
    ),
    policy(
        "the wrong snapshot is loaded",
        "yield Load(held[-1].slot)",
        "yield Load(held[0].slot)",
        VALID,
        suite=sound.TestRevolve,
    ),
    policy(
        "a slot more than allowed",
        "list(reversed(range(1, min(slots, chunks))))",
        "list(reversed(range(1, min(slots, chunks) + 1)))",
        "budget",
        suite=sound.TestRevolveWithinABudget,
    ),
    policy(
        "the newest snapshot is never dropped",
        "            free.append(held.pop().slot)\n            yield Drop(free[-1])\n",
        "            free.append(held.pop().slot)\n",
        VALID,
        suite=sound.TestRevolve,
    ),
    policy(
        "one chunk too far",
        "yield Forward(at, at + ahead, keep=False)",
        "yield Forward(at, at + ahead + 1, keep=False)",
        VALID,
        suite=sound.TestRevolve,
    ),
    checkpoint(
        "a tape too few is counted",
        "costs.snapshot + length * costs.tape",
        "costs.snapshot + (length - 1) * costs.tape",
        "budget",
        sound.TestUniformCheckpointsWithinABudget,
    ),
    checkpoint(
        "the working arrays are not counted",
        "return costs.fixed + (",
        "return (",
        "budget",
        sound.TestUniformCheckpointsWithinABudget,
    ),
    checkpoint(
        "the threads are not counted",
        "enough = smallest * costs.shards",
        "enough = smallest",
        "budget",
        sound.TestUniformCheckpointsWithinABudget,
    ),
    mixed("a tape takes the room of one state", "room -= alpha", "room -= 1", "budget", sound.TestMixedWithinABudget),
    mixed("a snapshot is not dropped", "                yield Drop(point.slot)\n", "                pass\n", VALID),
    mixed("the oldest snapshot is loaded", "Load(points[-1].slot)", "Load(points[0].slot)", VALID),
    mixed("a chunk is reversed twice", "                last -= 1\n", "                pass\n", VALID),
    mixed("no tape is kept on the way", "through = stop - (keep is Keep.TAPE)", "through = stop", VALID),
    states("no tape is kept", "keep=True", "keep=False", VALID),
    states(
        "the first chunk is not reversed", "Reverse(reached, 0)", "Reverse(reached, 1 if reached > 1 else 0)", VALID
    ),
    states("the tapes stay in the ring", "Reverse(reached, 0)", "Reverse(reached, 0, keep=True)", VALID),
    states("only the last loss counts", "Reverse(reached, 0)", "Reverse(reached, 0, losses_from=reached - 1)", VALID),
    states(
        "the end of a stream is overlooked", "Reverse(reached, 0)", "Reverse(grid.chunks or 2, 0)", "unknown length"
    ),
    auto("more bytes than there are", "else int(self.budget)\n", "else 2 * int(self.budget)\n"),
    auto("the threads are not counted", "+ costs.tape) * costs.shards", "+ costs.tape)"),
    auto("the snapshot is not counted", "(costs.fixed + costs.snapshot + costs.tape)", "(costs.fixed + costs.tape)"),
    auto(
        "only what does not fit is asked for",
        "kind.fit(problem, length, budget)",
        "kind.fit(problem, length, 9 * budget)",
    ),
    auto("chunks longer than was reckoned", "return best.store, best.length", "return best.store, best.length + 1"),
]
