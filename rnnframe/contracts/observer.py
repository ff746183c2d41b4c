"""Observers: who receives the events of a training, such as a progress line, a file of metrics or a dashboard.

An `Observer` holds a name and options, as every class that plugins provide. It opens a `Watcher`, the live object that
is told of every event by one method each. Events come once a batch or less often, never once a time step.
"""

import abc
from pathlib import Path
from typing import ClassVar

import attrs

from rnnframe.contracts.records import (
    BatchRecord,
    CheckpointRecord,
    EndRecord,
    EpochRecord,
    EvaluationRecord,
    GradientRecord,
    SkippedRecord,
    StartRecord,
)


class Watcher:
    """Is told of the events of a training. Every method does nothing by default: override those that matter.

    The methods are called in the thread that trains, one after the other, and the training waits for them. After a
    batch comes `on_batch` or `on_skipped`, then perhaps `on_evaluation` or `on_epoch`, then perhaps `on_gradients` and
    `on_checkpoint`. A watcher that raises is left out of the rest of the training, with one line on stderr; the
    training goes on.
    """

    def on_start(self, start: StartRecord) -> None:
        """The training begins, or goes on; `start` says with what and where."""

    def on_batch(self, batch: BatchRecord) -> None:
        """A batch was trained on."""

    def on_skipped(self, skipped: SkippedRecord) -> None:
        """A batch made no update, since its loss or its gradient was not finite."""

    def on_evaluation(self, evaluation: EvaluationRecord) -> None:
        """The network was evaluated in the middle of an epoch."""

    def on_epoch(self, epoch: EpochRecord) -> None:
        """An epoch ended, and the network was evaluated."""

    def on_gradients(self, gradients: GradientRecord) -> None:
        """The gradient was looked at after an evaluation; only where the training watches gradients."""

    def on_checkpoint(self, checkpoint: CheckpointRecord) -> None:
        """A checkpoint was written; never called for a training without a run folder."""

    def on_end(self, end: EndRecord) -> None:
        """The training ended, was stopped or failed. It always comes after `on_start`: close here what is open."""


@attrs.frozen(kw_only=True)
class Observer(abc.ABC):
    """Opens a watcher for a training. A frozen attrs class with a `name`, like every class that plugins provide."""

    name: ClassVar[str]

    @abc.abstractmethod
    def open(self, run: Path | None) -> Watcher:
        """Return what is told of one training.

        It is called before anything is computed or written, so leave the opening of files to `Watcher.on_start`.

        Parameters
        ----------
        run
            The run folder of the training, which need not be there yet; None for a training without one.

        Returns
        -------
        Watcher
            A new one at each call.

        Raises
        ------
        UsageError
            Where it cannot be used here, with what to do about it: the training does not begin.
        """
