"""A store that keeps every k-th tape and recomputes the others, k - 1 at a time."""

import attrs

from rnnframe.plugin import Forward, Load, Reverse, StateStore


@attrs.frozen(kw_only=True)
class EveryKth(StateStore):
    """Holds one tape in k, from which the k - 1 after it are run again. Exact."""

    name = "every-kth"
    k: int = attrs.field(default=4, validator=attrs.validators.ge(1), metadata={"help": "of k tapes, one is kept"})

    def schedule(self, grid, costs):
        runs = [(start, min(start + self.k, grid.chunks)) for start in range(0, grid.chunks, self.k)]
        for start, stop in runs:
            yield Forward(start, start + 1, keep=True)
            yield Forward(start + 1, stop, keep=False)
        for start, stop in reversed(runs):
            yield Load(None)  # the state after the newest tape in the ring
            yield Forward(start + 1, stop, keep=True)
            yield Reverse(stop, start)
