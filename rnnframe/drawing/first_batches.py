"""First batches whose loss is far above all that follows: they are cut off and told, so that the rest can be seen."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from rnnframe.drawing.style import GREY, SMALL
from rnnframe.runs.curves import Curve

START = 0.05
"""The part of the x-axis that is taken for the first batches."""


def after_start(curve: Curve, most: int) -> list[float]:
    """Return the extremes of a curve without its first batches, from up to `most` columns."""
    columns = curve.columns().at_most(most)
    if not len(columns):
        return []
    rest = columns.x > START * columns.x[-1]
    return [float(columns.low[rest].min()), float(columns.high[rest].max())]


def cut_start(axes: Axes, values: Sequence[float], later: Sequence[float]) -> None:
    """End a linear axis above what comes after the first batches, where those were much higher, and say so."""
    if axes.get_yscale() != "linear" or not later or max(values) - min(later) < 2 * (max(later) - min(later)):
        return
    room = 0.08 * (max(later) - min(later)) or 0.05 * max(values)
    axes.set_ylim(min(later) - room, max(later) + room)
    axes.text(
        0.02, 0.97, f"first batches up to {max(values):.3g}", transform=axes.transAxes, va="top", fontsize=SMALL,
        color=GREY,
    )  # fmt: skip
