"""From a training to a checkpoint and back, bit for bit."""

import attrs

from rnnframe.arrays import Array, Vector
from rnnframe.runs.checkpoints import Checkpoint
from rnnframe.runs.model import Model
from rnnframe.storage.tensors import restore
from rnnframe.training.progress import Progress
from rnnframe.training.trainer import Trainer


def checkpoint_of(model: Model, trainer: Trainer, progress: Progress, state: Vector | None, number: int) -> Checkpoint:
    """Return all that a training needs to go on after `number` batches."""
    groups = {"parameters": dict(model.network.parameters), "slots": dict(trainer.slots)}
    if state is not None:
        groups["state"] = dict(state)
    progress.updates = trainer.updates
    progress.gradient_norm, progress.learning_rate = trainer.last
    waiting = trainer.accumulation
    if waiting is not None:
        groups["waiting"] = dict(waiting.sums)
        progress.waiting_batches, progress.waiting_count = waiting.batches, waiting.count
        progress.waiting_loss = waiting.loss
    return Checkpoint(
        number=number, best=progress.best, groups=groups, progress=attrs.asdict(progress), model=model.describe()
    )


def restore_training(
    checkpoint: Checkpoint, progress: Progress, model: Model, trainer: Trainer, where: str
) -> Vector | None:
    """Put back what a checkpoint holds into a training of the same options; return the state that is carried.

    Raises `RunError` where the arrays are others.
    """
    groups = checkpoint.groups
    restore(model.network.parameters, groups.get("parameters", {}), where)
    restore(trainer.slots, groups.get("slots", {}), where)
    waiting = trainer.accumulation
    if waiting is not None:
        restore(waiting.sums, groups.get("waiting", {}), where)
        waiting.batches, waiting.count = progress.waiting_batches, progress.waiting_count
        waiting.loss = progress.waiting_loss
    trainer.updates, trainer.last = progress.updates, (progress.gradient_norm, progress.learning_rate)
    return _state(model, groups["state"], where) if "state" in groups else None


def _state(model: Model, saved: dict[str, Array], where: str) -> Vector:
    state = model.network.new_state(max((len(array) for array in saved.values() if array.ndim), default=1))
    restore(state, saved, where)
    return state
