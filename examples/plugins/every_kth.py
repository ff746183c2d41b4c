"""A store that keeps every k-th tape and recomputes the others, k - 1 at a time."""

import attrs

from rnnframe import Drop, Forward, Load, Reverse, Save, StateStore


@attrs.frozen(kw_only=True)
class EveryKth(StateStore):
    """Holds 1/k of the tapes and as many states, and runs (k - 1)/k of the steps twice. Exact."""

    name = "every-kth"
    k: int = attrs.field(default=4, validator=attrs.validators.ge(1), metadata={"help": "of k tapes, one is kept"})

    def schedule(self, grid, costs):
        runs = [(start, min(start + self.k, grid.chunks)) for start in range(0, grid.chunks, self.k)]
        for start, stop in runs:
            yield Forward(start, start + 1, keep=True)
            yield Save(start)
            yield Forward(start + 1, stop, keep=False)
        for start, stop in reversed(runs):
            yield Load(start)
            yield Drop(start)
            yield Forward(start + 1, stop, keep=True)
            yield Reverse(stop, start)
