"""How a store treats each array of a step, derived from its schedule: kept, kept for a while, rebuilt or recomputed."""

from typing import Literal

import attrs
import numpy as np

from rnnframe.contracts.layer import Layer
from rnnframe.contracts.retention import of_layers
from rnnframe.engine.plan import Plan
from rnnframe.inspection.needs import Dependency
from rnnframe.inspection.timeline import timeline_of

NEARLY_ALL = 0.95  # the last segment of a schedule is seldom run twice


@attrs.frozen
class ArrayStorage:
    """How a store treats one array.

    Parameters
    ----------
    kind
        The treatment; "once" means one array in all, not one per step.
    words
        The same for a table.
    """

    kind: Literal["kept", "for a while", "rebuilt", "recomputed", "once", "not kept"]
    words: str


@attrs.frozen(kw_only=True)
class ScheduleSummary:
    """What a schedule does with the steps of a sequence.

    Parameters
    ----------
    steps
        The length of the sequence.
    tape_steps
        The number of steps whose tapes are held at once.
    snapshots
        The number of states that are saved at once.
    rerun
        The share of the steps that are run forward more than once.
    updates
        How often the weights can change during the sequence.
    versions
        The number of old versions of the weights that are kept.
    rebuilt
        The arrays of a tape that are not kept with it.
    rounded
        The arrays of a tape that are kept in bfloat16, where the layer is the top one of a network.
    """

    steps: int
    tape_steps: int
    snapshots: int
    rerun: float
    updates: int
    versions: int
    rebuilt: frozenset[str]
    rounded: frozenset[str]

    @classmethod
    def of(cls, plan: Plan, cell: Layer, inputs: int) -> "ScheduleSummary":
        """Return the summary of a plan for a layer with these inputs; raises `OptionError` for an unknown length."""
        timeline, simulation = timeline_of(plan), plan.simulation
        stored = plan.store.tape_retention
        retained = set(cell.retained_arrays(inputs, of_layers(stored)))
        times = np.zeros(timeline.steps + 1, dtype=int)
        for run in timeline.runs:
            if run.kind != "reverse":
                times[run.first] += 1
                times[run.last] -= 1
        made = [(bar.made, bar.stop - bar.start) for bar in timeline.bars if bar.kind == "tape"]
        released = [(bar.released, bar.start - bar.stop) for bar in timeline.bars if bar.kind == "tape"]
        changes = [change for _, change in sorted([*made, *released])]  # at one moment: released, then made
        return cls(
            steps=timeline.steps,
            tape_steps=int(np.cumsum(changes).max()),
            snapshots=max(held.snapshots + held.far for held in timeline.held),
            rerun=float(np.mean(np.cumsum(times[:-1]) > 1)),
            updates=simulation.updates,
            versions=simulation.versions,
            rebuilt=frozenset(cell.tape(inputs).keys() - retained),
            rounded=frozenset(retained - {cell.output, *cell.unrounded} if stored == "bfloat16" else ()),
        )

    def fate(self, need: Dependency) -> ArrayStorage:
        """Return how an array is treated."""
        match need.role:
            case "input":
                return ArrayStorage("not kept", "read again")
            case "output":
                return ArrayStorage("not kept", "never stored")
            case "parameter":
                return self._weights()
            case "state" if self.rerun:
                places = f"{self.snapshots:,} place" + "s" * (self.snapshots != 1)
                return ArrayStorage("recomputed", f"kept at {places}{self._in_tapes}, else recomputed")
        name = need.array.removesuffix("_t").removesuffix("_(t-1)")
        rebuilt, rounded = name in self.rebuilt, " in bfloat16" * (name in self.rounded)
        if self.rerun >= NEARLY_ALL:
            return ArrayStorage("recomputed", "recomputed")
        if self.rerun:
            held = ", else rebuilt" if rebuilt else f", else kept{rounded}" if rounded else ""
            return ArrayStorage("recomputed", f"recomputed for {self.rerun:.0%}{held}")
        if rebuilt:
            return ArrayStorage("rebuilt", "rebuilt")
        if self.tape_steps < self.steps:
            return ArrayStorage("for a while", f"kept{rounded} for {self.tape_steps:,} steps")
        return ArrayStorage("kept", f"kept{rounded}")

    @property
    def _in_tapes(self) -> str:
        """How many steps' states are held as part of tapes at one time, where they are more than a few."""
        if self.tape_steps <= (1 - NEARLY_ALL) * self.steps:
            return ""
        return f" and in tapes of {self.tape_steps:,} steps"

    def _weights(self) -> ArrayStorage:
        if self.versions:
            return ArrayStorage("for a while", "old ones kept while their tapes wait")
        if self.updates > 1:
            return ArrayStorage("once", "one copy, newer than the tapes")
        return ArrayStorage("once", "one copy")
