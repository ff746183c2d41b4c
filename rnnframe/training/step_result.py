"""What one training step gives back."""

import attrs

from rnnframe.arrays import Vector
from rnnframe.engine.report import Report


@attrs.frozen(kw_only=True, eq=False)
class StepResult:
    """What one training step gives back.

    Attributes
    ----------
    loss
        Mean over counted steps and samples, before the update.
    count
        How many losses that is a mean over.
    state
        After the last step, for the sequence that follows.
    gradient_norm
        Global norm of the last update's gradients before clipping, without those of frozen parameters.
    learning_rate
        Of the last update, before the factors of groups.
    report
        What the store did and how much memory it took.
    """

    loss: float
    count: float
    state: Vector
    gradient_norm: float
    learning_rate: float
    report: Report
