"""How many updates of the parameters one batch really gives: those between which a loss comes in."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.batch import Batch
from rnnframe.data.foreign import is_stream
from rnnframe.data.format import TargetFormat
from rnnframe.engine.engine import Engine
from rnnframe.engine.plan import Plan
from rnnframe.network.network import Network
from rnnframe.schedules import Forward, Reverse, Update
from rnnframe.training.own_batches import own_part

Window = list[tuple[int, int]]
"""The steps [start, stop) whose losses come in between two updates, in ranges."""


def windows_of(plan: Plan) -> list[Window]:
    """Return the windows of a planned schedule over a known number of steps; those without any loss are left out."""
    schedule, grid = plan.schedule(), plan.grid
    windows: list[Window] = []
    window: Window = []
    action = next(schedule, None)
    while action is not None:
        answer = None
        if isinstance(action, Forward):
            answer = grid.chunks if action.stop is None else action.stop
        elif isinstance(action, Reverse) and max(action.start, action.losses_from) < action.stop:
            window.append((grid.span(max(action.start, action.losses_from))[0], grid.span(action.stop - 1)[1]))
        elif isinstance(action, Update) and window:
            windows.append(window)
            window = []
        try:
            action = schedule.send(answer)
        except StopIteration:
            action = None
    return [*windows, window] if window else windows


class RealUpdates:
    """Counts the updates of batches that an engine runs.

    Parameters
    ----------
    engine
        Whose store and chunks say when updates are due.
    """

    def __init__(self, engine: Engine[Network]) -> None:
        self._engine = engine
        self._windows: dict[tuple[int, int], list[Window]] = {}

    def windows(self, steps: int, batch: int) -> list[Window]:
        """Return the windows of sequences of a shape."""
        if (steps, batch) not in self._windows:
            if len(self._windows) > 64:  # lengths of all kinds
                self._windows.clear()
            self._windows[steps, batch] = windows_of(self._engine.plan(steps, batch))
        return self._windows[steps, batch]

    def planned(self, steps: int, batch: int) -> int:
        """Return how many updates sequences of a shape give where every loss counts."""
        return 1 if self._loss.at == "last" else len(self.windows(steps, batch))

    def of(self, batch: Batch) -> int | None:
        """Return how many updates a batch that the engine accepts gives; None for a stream: nobody knows its losses.

        All ranks call it where each has its own samples alone.
        """
        if is_stream(batch.x):
            return None
        steps, samples = map(int, np.shape(batch.x)[:2])
        if batch.lengths is not None:
            steps = int(np.max(batch.lengths))
        windows, loss = self.windows(steps, samples), self._loss
        if len(windows) == 1:
            return 1
        here = own_part(batch)
        count = (_at_the_end if loss.at == "last" else _everywhere)(loss, here, steps, here.samples)
        found = [any(count(start, stop) > 0 for start, stop in window) for window in windows]
        if here is not batch:
            found = list(map(any, zip(*self._engine.group.gather(found), strict=True)))
        return sum(found)

    @property
    def _loss(self) -> TargetFormat:
        loss = self._engine.network.data_format.targets
        assert loss is not None  # or there were no losses to train on
        return loss


def _everywhere(loss: TargetFormat, batch: Batch, steps: int, samples: int) -> Callable[[int, int], float]:
    """Return what counts the losses of steps [start, stop) where every step has one."""
    y, lengths = batch.y, None if batch.lengths is None else np.asarray(batch.lengths)
    weights = batch.weights

    def count(start: int, stop: int) -> float:
        factors: Array | None = None
        if weights is not None:
            factors = np.broadcast_to(
                weights[start:stop] if len(weights.shape) == 2 else weights, (stop - start, samples)
            )
        if lengths is not None:
            running = np.arange(start, stop)[:, None] < lengths
            factors = running.astype(np.float64) if factors is None else running * factors
        return loss.count(_wide(np.asarray(y[start:stop]), loss), factors)

    return count


def _at_the_end(loss: TargetFormat, batch: Batch, steps: int, samples: int) -> Callable[[int, int], float]:
    """Return what counts the losses of steps [start, stop) where the last step of each sample has one."""
    y: Any = np.asarray(batch.y)
    ends = np.full(samples, steps) if batch.lengths is None else np.asarray(batch.lengths)
    weights = None if batch.weights is None else np.asarray(batch.weights)

    def count(start: int, stop: int) -> float:
        here = (start < ends) & (ends <= stop)
        if not here.any():
            return 0.0
        return loss.count(_wide(y[here][None], loss), None if weights is None else weights[here][None])

    return count


def _wide(y: Array, loss: TargetFormat) -> Array:
    """Return targets [L, B] of one value each as the loss takes them, [L, B, 1]."""
    return y[..., None] if loss.target_width == 1 and y.ndim == 2 else y
