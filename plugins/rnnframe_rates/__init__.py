"""Learning-rate schedules: constant, linear, cosine, exponential, step."""

from rnnframe.plugin import LearningRate, hookimpl
from rnnframe_rates.rates import Constant, Cosine, Exponential, Linear, Step


@hookimpl
def rnnframe_learning_rates() -> list[type[LearningRate]]:
    """The schedules of this module."""
    return [Constant, Linear, Cosine, Exponential, Step]
