"""Watching the gradient: a look at the last batch after each evaluation, for what is recorded of a training."""

import math

import attrs

from rnnframe.arrays import Vector
from rnnframe.contracts.records import GradientRecord
from rnnframe.data.batch import Batch
from rnnframe.data.foreign import is_stream
from rnnframe.errors import NonFiniteError
from rnnframe.inspection.gradients import gradient_health
from rnnframe.training.preparation import Prepared
from rnnframe.training.progress import Progress


def look(prepared: Prepared, progress: Progress, batch: Batch, before: Vector | None) -> GradientRecord | None:
    """Return what is seen of the gradient of a batch with the state before it; None where there is no finite one."""
    if is_stream(batch.x):  # which is read once
        return None
    try:
        found = gradient_health(prepared.trainer.engine, batch, before)
    except NonFiniteError:
        return None
    if not all(map(math.isfinite, (norm for norms in found.norms.values() for norm in norms))):
        return None
    return GradientRecord(
        epoch=progress.epoch + (progress.batch > 0), update=progress.updates, **attrs.asdict(found, recurse=False)
    )
