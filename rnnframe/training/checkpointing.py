"""From a training to a checkpoint and back, bit for bit."""

import sys
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.records import CheckpointRecord
from rnnframe.contracts.reducer import Group
from rnnframe.engine import blas
from rnnframe.errors import NonFiniteError, RunError
from rnnframe.runs.checkpoints import Checkpoint
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.model import TaskModel
from rnnframe.storage.tensors import restore
from rnnframe.training.norms import first_non_finite_name
from rnnframe.training.preparation import Prepared
from rnnframe.training.progress import Progress
from rnnframe.training.trainer import Trainer


def save_training(run: RunFolder, prepared: Prepared, progress: Progress, state: Vector | None) -> CheckpointRecord:
    """Write a checkpoint into a run folder, and the weights where none were better; raises `RunError`."""
    data = prepared.data
    progress.data, progress.metrics_size, progress.blas = data.digest, run.metrics_size, blas.kernel()
    _check_finite(prepared)
    number = progress.number(data.batches)
    checkpoint = checkpoint_of(prepared.model, prepared.trainer, progress, state, number)
    run.save(checkpoint, keep=prepared.options.keep)
    best = checkpoint.best == number or data.valid is None  # then the newest weights are the ones to keep
    return CheckpointRecord(number=number, path=str(run.checkpoints.path(number)), best=best)


def _check_finite(prepared: Prepared) -> None:
    """Raise `NonFiniteError` where an optimizer has written what no training can go on from."""
    trainer = prepared.trainer
    for written, what in (prepared.model.network.parameters, ""), (trainer.slots, "its slot "):
        if not np.isfinite(written.flat).all():
            raise NonFiniteError(
                f"{prepared.registry.describe('optimizer', type(trainer.optimizer))} wrote NaN or infinite values into "
                f"{what}{first_non_finite_name(written)}; "
                "no checkpoint is saved: lower the learning rate, or mend the optimizer"
            )


def resume_training(run: RunFolder, prepared: Prepared) -> tuple[Progress, Vector | None]:
    """Take parameters and slots from the newest checkpoint of a run folder; return the progress and the carried state.

    Raises `RunError` where the checkpoint is damaged, or was made with other data.
    """
    where = f"the checkpoint of {str(run.path)!r}"
    checkpoint = run.load()
    progress = Progress.read(checkpoint.progress, where)
    if progress.data != prepared.data.digest:
        raise RunError(f"the data has changed since {where} was made; put the old one back or start a new run")
    _check_network(checkpoint, prepared, where)
    batches = prepared.data.batches
    if progress.batch >= batches:
        raise RunError(f"{where} is after batch {progress.batch} of an epoch, which has {batches}")
    state = restore_training(checkpoint, progress, prepared.model, prepared.trainer, where)
    run.cut_metrics(progress.metrics_size)
    run.mend_weights(checkpoint)
    _remark_on_blas(progress, where)
    return progress, state


def learnt_before(run: RunFolder | None, group: Group) -> dict[str, Any] | None:
    """Return what the run that is resumed says was learnt, on all ranks; None for a new training."""
    made = run.load().model.get("learnt") if run is not None and run.locked else None
    told = group.tell(made)
    return None if told is None else dict(told)


def begin_together(
    group: Group, prepared: Prepared, progress: Progress, state: Vector | None
) -> tuple[Progress, Vector | None]:
    """Give all ranks the parameters, the slots, the progress and the carried state of rank 0; return the last two."""
    if group.size == 1:
        return progress, state
    made = checkpoint_of(prepared.model, prepared.trainer, progress, state, 0) if group.rank == 0 else None
    told = group.tell(made)
    if group.rank == 0:
        return progress, state
    progress = Progress.read(told.progress, "what rank 0 told")
    return progress, restore_training(told, progress, prepared.model, prepared.trainer, "what rank 0 told")


def _remark_on_blas(progress: Progress, where: str) -> None:
    """Say on stderr where products are computed by another BLAS kernel than before, in another order of additions."""
    here = blas.kernel()
    if progress.blas and here and progress.blas != here and sys.stderr is not None:
        print(
            f"rnnframe: remark: {where} was computed with {progress.blas}, and here is {here}; "
            "the training goes on, to other last bits",
            file=sys.stderr,
        )


def _check_network(checkpoint: Checkpoint, prepared: Prepared, where: str) -> None:
    """Raise `RunError` where a checkpoint was made when the same data asked for another network."""
    made, wanted = checkpoint.model.get("network"), prepared.model.network.specs()
    for name in ("inputs", "head"):
        if isinstance(made, dict) and made.get(name) != wanted[name]:
            raise RunError(
                f"{where} is of a network with {name} {made.get(name)!r}, and this version of the task makes one with "
                f"{wanted[name]!r} of the data: evaluate, predict and sample still take the run; train a new one"
            )


def checkpoint_of(
    model: TaskModel, trainer: Trainer, progress: Progress, state: Vector | None, number: int
) -> Checkpoint:
    """Return all that a training needs to go on after `number` batches."""
    groups = {"parameters": dict(model.network.parameters), "slots": dict(trainer.slots)}
    if trainer.average is not None:  # what evaluates and predicts reads "parameters"
        groups |= {"parameters": dict(trainer.average.values), "trained": groups["parameters"]}
    if state is not None:
        groups["state"] = dict(state)
    progress.updates, progress.draws = trainer.updates, trainer.engine.draws
    progress.gradient_norm, progress.learning_rate = trainer.last
    if trainer.course is not None:
        progress.gathered_from, progress.falls_from = trainer.course.gathered_from, trainer.course.falls_from
    waiting = trainer.accumulation
    if waiting is not None:
        groups["waiting"] = waiting.described()
        progress.waiting_batches, progress.waiting_count = waiting.batches, waiting.count
        progress.waiting_loss = waiting.loss
    return Checkpoint(
        number=number, best=progress.best, groups=groups, progress=attrs.asdict(progress), model=model.describe()
    )


def restore_training(
    checkpoint: Checkpoint, progress: Progress, model: TaskModel, trainer: Trainer, where: str
) -> Vector | None:
    """Put back what a checkpoint holds into a training of the same options; return the state that is carried.

    Raises `RunError` where the arrays are others.
    """
    groups = checkpoint.groups
    if trainer.average is not None:
        restore(trainer.average.values, groups.get("parameters", {}), where)
    trained = "parameters" if trainer.average is None else "trained"
    restore(model.network.parameters, groups.get(trained, {}), where)
    restore(trainer.slots, groups.get("slots", {}), where)
    waiting = trainer.accumulation
    if waiting is not None:
        sums = progress.waiting_batches, progress.waiting_count, progress.waiting_loss
        waiting.put_back(groups.get("waiting", {}), *sums, where)
    if trainer.course is not None:
        trainer.course.gathered_from, trainer.course.falls_from = progress.gathered_from, progress.falls_from
    trainer.engine.draws = progress.draws
    trainer.updates, trainer.last = progress.updates, (progress.gradient_norm, progress.learning_rate)
    return _state(model, groups["state"], where) if "state" in groups else None


def _state(model: TaskModel, saved: dict[str, Array], where: str) -> Vector:
    state = model.network.new_state(max((len(array) for array in saved.values() if array.ndim), default=1))
    restore(state, saved, where)
    return state
