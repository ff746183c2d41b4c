"""Truncated back-propagation through time in a circular queue of k2 steps.

Williams & Peng (1990), "An efficient gradient-based algorithm for on-line training of recurrent network
trajectories", call it BPTT(h; h'): here h = k2 and h' = k1.
"""

from collections.abc import Iterable
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge, in_, optional

from rnnframe.plugin import (
    Costs,
    Forget,
    Forward,
    Grid,
    Reverse,
    Schedule,
    StateStore,
    StoredTapes,
    Update,
    hookimpl,
    split_evenly,
)


@attrs.frozen(kw_only=True)
class CircularQueue(StateStore):
    """Every k1 steps, propagate the newest k1 losses back over up to k2 steps; then the optimizer may update.

    The losses of steps [t, t + k1) reach back to step max(0, t + k1 - k2); the state before that is a constant.
    Memory: tape · k2, for any length; a source may be endless. Exact if k2 covers the whole sequence.

    The weights are updated while older steps still wait in the queue. weights=current, the usual approximation,
    reverses their tapes with the newest W. weights=stored keeps each version of the weights as long as a tape that
    was made with it is in the queue; the gradient is then exact for what was computed. Tapes in bfloat16 have half of
    the bytes, but for the outputs of the top layer.
    """

    name: ClassVar[str] = "circular-queue"
    exact: ClassVar[bool] = False
    unknown_length: ClassVar[bool] = True

    k1: int = attrs.field(default=32, validator=ge(1), metadata={"help": "steps between two updates"})
    k2: int = attrs.field(default=128, validator=ge(1), metadata={"help": "steps in the queue, at least k1"})
    weights: Literal["current", "stored"] = attrs.field(
        default="current",
        validator=in_(("current", "stored")),
        metadata={"help": "reverse an old tape with today's weights, or with those that made it"},
    )

    keep: Literal["whole", "bfloat16"] | None = attrs.field(
        default=None,
        validator=optional(in_(("whole", "bfloat16"))),
        metadata={"help": "what stays of a tape: the whole (the default), or the whole rounded to bfloat16"},
    )

    @k2.validator
    def _k2_covers_k1(self, _: object, k2: int) -> None:
        if k2 < self.k1:
            raise ValueError(
                f"'k2' must be >= k1={self.k1}, or {self.k1 - k2} of every {self.k1} losses are lost: {k2}"
            )

    @property
    def tape_retention(self) -> StoredTapes:
        """What `keep` says."""
        return self.keep or "whole"

    @property
    def stores_weights(self) -> bool:
        """Whether weights=stored."""
        return self.weights == "stored"

    def grid(self, steps: int | None, chunk: int) -> Grid:
        """Cut at every multiple of k1, and at every start of a window: multiples of k1, less k2."""
        if steps is not None and steps <= self.k1:
            return Grid(steps, (min(chunk, steps),))
        back = self.k2 % self.k1
        if steps is not None and steps <= self.k2 - back:
            back = 0  # no window of so short a sequence begins after its start
        return Grid(steps, split_evenly(self.k1 - back, chunk) + split_evenly(back, chunk))

    def takes_any_grid(self, steps: int) -> bool:
        """Whether one window covers all."""
        return steps <= self.k1

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Every k1 steps: go on, reverse the window, forget what the next one does not reach, update."""
        t = 0
        while True:
            end = t + self.k1 if grid.steps is None else min(t + self.k1, grid.steps)
            start, now, stop = map(grid.cut_at_or_after, (max(0, t + self.k1 - self.k2), t, end))
            reached = yield Forward(now, stop, keep=True)
            if reached is None or reached == now:
                yield Forget(now)
                return
            yield Reverse(reached, start, losses_from=now, keep=True)
            t += self.k1
            over = reached < stop or end == grid.steps
            # Before the update: no weights are kept for a tape that is not reversed again.
            yield Forget(reached if over else grid.cut_at_or_after(max(0, t + self.k1 - self.k2)))
            yield Update()
            if over:
                return


@hookimpl
def rnnframe_state_stores() -> Iterable[type[StateStore]]:
    """Provide circular-queue."""
    return [CircularQueue]
