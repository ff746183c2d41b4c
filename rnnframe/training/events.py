"""What observers are told, made of where a training is."""

from typing import Literal

from rnnframe.contracts.records import EndRecord, EpochRecord, EvaluationRecord, StartRecord
from rnnframe.registry.kernels import kernels_used
from rnnframe.registry.specs import chosen_options, render
from rnnframe.training.preparation import Prepared
from rnnframe.training.progress import Progress


def start_of(prepared: Prepared, now: Progress) -> StartRecord:
    """Return what is told when a training begins or goes on."""
    task = prepared.model.task
    return StartRecord(
        task=render(task),
        unit=task.unit,
        options=chosen_options(prepared.options),
        parameters=prepared.model.network.parameters.flat.size,
        kernels=kernels_used(prepared.trainer.engine.running.kernels, prepared.options.precision),
        epochs=prepared.options.epochs,
        batches=prepared.data.batches,
        epoch=now.epoch + 1,
        batch=now.batch,
        update=now.updates,
        loss=now.loss_sum / max(1, now.count),
        count=now.count,
        valid_loss=now.valid_loss,
        measures=now.measures,
    )


def evaluation_of(now: Progress) -> EvaluationRecord:
    """Return what is told after an evaluation in the middle of an epoch."""
    return EvaluationRecord(
        epoch=now.epoch + 1,
        batch=now.batch,
        update=now.updates,
        valid_loss=now.valid_loss or 0.0,
        measures=now.measures,
    )


def epoch_of(now: Progress, steps_per_second: float, peak_bytes: int) -> EpochRecord:
    """Return what is told after an epoch, when the next one has begun."""
    return EpochRecord(
        epoch=now.epoch,
        update=now.updates,
        train_loss=now.train_loss or 0.0,
        valid_loss=now.valid_loss,
        measures=now.measures,
        skipped=now.skipped,
        steps_per_second=steps_per_second,
        peak_bytes=peak_bytes,
    )


def end_of(now: Progress, outcome: Literal["finished", "stopped", "failed"], reason: str = "") -> EndRecord:
    """Return what is told at the end of a training."""
    return EndRecord(
        outcome=outcome,
        reason=reason,
        epoch=now.epoch + 1,
        batch=now.batch,
        update=now.updates,
        valid_loss=now.valid_loss,
        measures=now.measures,
    )
