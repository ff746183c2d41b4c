"""The picture of watched gradients: a column for each run; dL/dh over time, spectral radius of W, saturated gates."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from rnnframe.drawing.references import Drawn
from rnnframe.drawing.runs import LOOKS, X_LABELS
from rnnframe.drawing.style import GREY, INK, LARGE, NORMAL, SMALL, count_axis, ending, new_figure, plain
from rnnframe.runs.looks import Look
from rnnframe.runs.metrics import Over

MOST_RUNS, MOST_PALE = 4, 8
"""Runs side by side, and earlier looks that are drawn pale behind the last one."""
WIDTH, HEIGHTS = 4.6, (2.6, 1.5, 1.5)
LEFT, RIGHT, HEAD, FOOT, GAP, BETWEEN = 0.75, 0.25, 0.95, 0.75, 0.62, 0.35
"""Inches: of a panel, and around and between them."""


def gradients_figure(runs: Sequence[Drawn], over: Over) -> Figure:
    """Return the picture of up to `MOST_RUNS` runs, each of which has looked at its gradient."""
    wide = min(WIDTH, 13.0 / len(runs))
    width = LEFT + len(runs) * wide + (len(runs) - 1) * BETWEEN + RIGHT
    height = HEAD + sum(HEIGHTS) + 2 * GAP + FOOT
    figure = new_figure(width, height)
    panels = [_row(figure, row, len(runs), wide) for row in range(3)]
    for column, run in enumerate(runs):
        looks = run.metrics.looks.all()
        _draw_norms(panels[0][column], looks)
        x = X_LABELS[over] + (" (s)" if over == "seconds" else "")
        _draw_over(panels[1][column], looks, lambda look: look.spectral_radius, "no recurrent W")
        _draw_over(panels[2][column], looks, lambda look: look.saturated, "no gates")
        panels[1][column].axhline(1.0, color=GREY, linewidth=0.7, zorder=1)
        panels[2][column].set_ylim(-0.02, 1.02)
        panels[2][column].set_xlabel(x, fontsize=NORMAL, color=INK)
        panels[1][column].tick_params(labelbottom=False)
        panels[0][column].set_title(ending(run.name, 34), loc="left", fontsize=NORMAL, color=INK, pad=16)
    _scale_norms(panels[0], runs)
    panels[1][0].set_ylim(0, 1.1 * max(axes.dataLim.y1 for axes in panels[1]))
    panels[2][0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    for (first, *_), name in zip(panels, ("norm of dL/dh", "spectral radius", "saturated gates"), strict=True):
        first.set_ylabel(name, fontsize=NORMAL, color=INK)
    figure.text(
        0.1 / width, 1 - 0.25 / height, "The gradient on its way back through time", fontsize=LARGE, va="center"
    )
    about = "norms of the last look, earlier ones pale; saturated: below 0.1 or above 0.9"
    figure.text(1 - 0.1 / width, 0.08 / height, about, fontsize=SMALL, color=GREY, ha="right", va="bottom")
    return figure


def _row(figure: Figure, row: int, number: int, wide: float) -> list[Axes]:
    """Return the panels of a row, which share their y-axis."""
    width, height = figure.get_size_inches()
    bottom = height - HEAD - sum(HEIGHTS[: row + 1]) - row * GAP
    made: list[Axes] = []
    for n in range(number):
        box = ((LEFT + n * (wide + BETWEEN)) / width, bottom / height, wide / width, HEIGHTS[row] / height)
        axes = figure.add_axes(box, sharey=made[0] if made else None)
        plain(axes)
        if made:
            axes.tick_params(labelleft=False)
        made.append(axes)
    return made


def _draw_norms(axes: Axes, looks: Sequence[Look]) -> None:
    *earlier, last = looks
    pale = earlier[:: -(-len(earlier) // MOST_PALE) or 1]
    for name, (colour, dashes, _) in zip(last.norms, LOOKS, strict=False):
        for look in pale:
            _line(axes, look, name, color=colour, linestyle=dashes, linewidth=0.7, alpha=0.25)
        _line(axes, last, name, color=colour, linestyle=dashes, linewidth=1.5, label=name)
    axes.set_xlabel("step t", fontsize=NORMAL, color=INK)
    count_axis(axes.xaxis)
    _legend(axes)


def _line(axes: Axes, look: Look, name: str, **looks: Any) -> None:
    if name in look.norms:
        norms = np.where(look.norms[name] > 0, look.norms[name], np.nan)
        axes.plot(look.steps, norms, marker="." if len(norms) == 1 else "", **looks)


def _scale_norms(panels: Sequence[Axes], runs: Sequence[Drawn]) -> None:
    """Make the axis logarithmic, as wide as the last looks and what is pale behind them."""
    looks = [look for run in runs for look in run.metrics.looks.all()]
    values = [value for look in looks for norms in look.norms.values() for value in norms[norms > 0]]
    panels[0].set_yscale("log")
    if values:
        panels[0].set_ylim(min(values) / 3, max(values) * 3)
    panels[0].yaxis.set_major_locator(LogLocator(numticks=6))
    panels[0].yaxis.set_minor_formatter(NullFormatter())


def _draw_over(axes: Axes, looks: Sequence[Look], values_of: Callable[[Look], Mapping[str, float]], none: str) -> None:
    names = list(dict.fromkeys(name for look in looks for name in values_of(look)))
    for name, (colour, dashes, marker) in zip(names, LOOKS, strict=False):
        there = [look for look in looks if name in values_of(look)]
        axes.plot(
            [look.x for look in there], [values_of(look)[name] for look in there], color=colour, linestyle=dashes,
            linewidth=1.4, marker=marker, markersize=3.5, markerfacecolor="white", label=name,
        )  # fmt: skip
    axes.set_xlim(0, 1.02 * max(look.x for look in looks))
    count_axis(axes.xaxis)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if names:
        _legend(axes)
    else:
        axes.text(0.5, 0.5, none, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=NORMAL)


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.01, 1.0), fontsize=SMALL, frameon=False, ncols=4, borderaxespad=0.1,
        handlelength=2.4, columnspacing=1.2,
    )  # fmt: skip
