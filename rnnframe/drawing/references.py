"""Runs in a picture, and what stays the same during a training: drawn as lines to compare with."""

from collections.abc import Sequence

import attrs
from matplotlib.axes import Axes

from rnnframe.drawing.style import GREY, SMALL
from rnnframe.runs.curves import Curve
from rnnframe.runs.metrics import Metrics

GUESSING = "guessing"
"""The measure that is a loss: that of guessing."""


@attrs.frozen
class Drawn:
    """A run in a picture; runs with the same loss share a panel.

    Parameters
    ----------
    name
        The name of the run.
    loss
        What its loss is, with the unit.
    metrics
        Its metrics.
    """

    name: str
    loss: str
    metrics: Metrics


def references(runs: Sequence[Drawn]) -> dict[str, str]:
    """Return the measures that stay the same during every training, such as a naive forecast's, and where they belong.

    They belong to the measure that was recorded before them, or to the loss where that is what guessing costs.
    """
    found: dict[str, str] = {}
    for run in runs:
        before = run.loss
        for name, curve in run.metrics.measures.items():
            columns = curve.columns()
            if len(columns) > 1 and columns.mean.min() == columns.mean.max() and before != name:
                found.setdefault(name, run.loss if name == GUESSING else before)
            else:
                before = name
    moving = {name for run in runs for name in run.metrics.measures if not _stays(run.metrics.measures[name])}
    return {name: place for name, place in found.items() if name not in moving}


def _stays(curve: Curve) -> bool:
    columns = curve.columns()
    return len(columns) == 0 or bool(columns.mean.min() == columns.mean.max())


def draw_references(axes: Axes, names: Sequence[str], runs: Sequence[Drawn]) -> None:
    """Draw what stays the same during a training as horizontal lines, with the name at the right end."""
    for name in names:
        for value in {_last(run.metrics.measures[name]) for run in runs if name in run.metrics.measures}:
            low, high = axes.get_ylim()
            axes.axhline(value, color=GREY, linestyle=(0, (4, 2)), linewidth=1.0, zorder=2, gid="reference")
            axes.set_ylim(min(low, 0.95 * value), max(high, 1.05 * value))
            axes.annotate(
                name, xy=(1.0, value), xycoords=axes.get_yaxis_transform(), xytext=(-2, 2), textcoords="offset points",
                ha="right", va="bottom", fontsize=SMALL, color=GREY,
            )  # fmt: skip


def _last(curve: Curve) -> float:
    return float(curve.columns().mean[-1])
