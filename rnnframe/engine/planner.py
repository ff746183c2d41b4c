"""The plans of an engine's runs, each made once."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

from rnnframe.contracts.medium import Medium
from rnnframe.contracts.model import ChunkModel
from rnnframe.contracts.store import StateStore
from rnnframe.data.columns import Columns, count_of
from rnnframe.data.cuts import Cuts
from rnnframe.data.source import Source
from rnnframe.engine.plan import RunPlan, apart_bytes, make_plans, stretch, with_cuts
from rnnframe.registry.registry import Registry

PLANS_KEPT = 64
"""Plans that are remembered: lengths that vary from call to call must not pile up."""


class Planner:
    """Plans runs of one store, for chunks of `chunk` steps where that is given.

    The store or its medium is blamed for what goes wrong, by the name that `registry` knows it under.
    """

    def __init__(self, store: StateStore, chunk: int | None, registry: Registry) -> None:
        self._store, self._chunk, self._registry = store, chunk, registry
        self._stores = tuple(registry.find("store", name) for name in registry.names("store"))
        self._leave_out = functools.partial(registry.leave_out, "store")
        self._plans: dict[Any, RunPlan] = {}
        self._apart: dict[Any, int] = {}

    def plan_source(self, model: ChunkModel[Any, Any, Any], source: Source, columns: Sequence[Columns]) -> RunPlan:
        """Return the plans of the parts of a source, of these columns, whose cuts count where states are held apart."""
        bounds = list(itertools.accumulate(map(count_of, columns), initial=0))
        parts = [slice(start, stop) for start, stop in itertools.pairwise(bounds)]
        cuts = [source.cuts(part) for part in columns] if self._apart_bytes(model) else ()
        return self.plan(model, source.steps, parts, [source.ends(part) for part in columns], cuts)

    def _apart_bytes(self, model: ChunkModel[Any, Any, Any]) -> int:
        key = model.buffers_key
        if key not in self._apart:
            self._apart[key] = apart_bytes(model)
        return self._apart[key]

    def plan(
        self,
        model: ChunkModel[Any, Any, Any],
        steps: int | None,
        parts: Sequence[slice],
        ends: Sequence[Sequence[int]] = (),
        cuts: Sequence[Cuts | None] = (),
    ) -> RunPlan:
        """Return the plans of all parts of a batch, whose samples end at these steps where they differ.

        With `cuts` it is made for them alone, and not kept.
        """
        sizes = tuple(part.stop - part.start for part in parts)
        key = steps, sizes, model.buffers_key
        with self._registry.blame("store", type(self._store), medium=Medium):
            if any(cuts):
                plans = make_plans(model, self._store, steps, sizes, self._chunk, self._stores, self._leave_out, cuts)
                made = RunPlan(tuple(plans))
                return with_cuts(stretch(made, ends) if ends else made, model, cuts)
            if key not in self._plans:
                if len(self._plans) == PLANS_KEPT:
                    self._plans.clear()
                plans = make_plans(model, self._store, steps, sizes, self._chunk, self._stores, self._leave_out)
                self._plans[key] = RunPlan(tuple(plans))
            return stretch(self._plans[key], ends) if ends else self._plans[key]
