"""The picture of `rnnframe report`: losses on the left; rate, gradient norm, throughput and memory on the right."""

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from rnnframe.drawing.first_batches import after_start, cut_start
from rnnframe.drawing.references import Drawn, draw_references, references
from rnnframe.drawing.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LARGE,
    NORMAL,
    ORANGE,
    PURPLE,
    SMALL,
    bytes_axis,
    count_axis,
    new_figure,
    plain,
)
from rnnframe.runs.curves import Columns, Curve
from rnnframe.runs.metrics import Metrics, Over

# Colour, dashes and marker: two runs differ in all three, so that they can be told apart in grey too.
LOOKS: tuple[tuple[str, Any, str], ...] = (
    (BLUE, "-", "o"),
    (ORANGE, (0, (5, 1.6)), "s"),
    (GREEN, (0, (1.4, 1.2)), "^"),
    (PURPLE, (0, (7, 1.6, 1.4, 1.6)), "D"),
    (INK, (0, (3, 1.2, 1, 1.2, 1, 1.2)), "v"),
    (BLUE, (0, (10, 3)), "P"),
    (ORANGE, (0, (1, 3)), "X"),
    (GREEN, (0, (7, 2, 2, 2)), "<"),
)
MOST = len(LOOKS)
SHADES, MEANS, DOTS = 700, 120, 40  # columns of a shade; of a line; marks along a validation curve
RATIO = 30.0  # between highest and lowest mean from which on an axis is logarithmic
# Inches: above the panels, between them, below them, a line of the legend, a panel on the left with its gap
HEAD, GAP, FOOT, LINE, ROW = 0.82, 0.42, 0.78, 0.21, 2.3
LOW_ROW, TALL = 1.25, 11.0  # a row where there are many; all rows together, as far as they are no lower than that
X_LABELS: dict[Over, str] = {"updates": "updates", "steps": "steps, of all samples", "seconds": "training time"}


def runs_figure(runs: Sequence[Drawn], over: Over) -> Figure:
    """Return the picture of up to `MOST` runs, drawn over each other; every task's loss and measure has a panel."""
    losses = list(dict.fromkeys(run.loss for run in runs))
    places = references(runs)
    measures = list(dict.fromkeys(name for run in runs for name in run.metrics.measures if name not in places))
    panels = len(losses) + len(measures)
    foot = FOOT + LINE * -(-len(runs) // 2)
    height = max(6.0, HEAD + max(LOW_ROW, min(ROW, TALL / panels)) * panels + foot)
    figure = new_figure(12.4, height)
    left = _column(figure, 0.06, 0.44, foot, panels, most=6.0)
    right = _column(figure, 0.575, 0.385, foot, 4, most=1.3)
    for axes, loss in zip(left, losses, strict=False):
        _draw_loss(axes, loss, [run if run.loss == loss else None for run in runs])
        alike = [run for run in runs if run.loss == loss]  # the guessing of another task is in another unit
        names = [name for name, place in references(alike).items() if place == loss and name in places]
        draw_references(axes, names, alike)
    for axes, name in zip(left[len(losses) :], measures, strict=True):
        _draw_measure(axes, name, runs)
        draw_references(axes, [other for other, place in places.items() if place == name], runs)
    _draw_right(right, runs)
    for column in (left, right):
        _x_axis(column, runs, over)
    figure.text(0.015, 1 - 0.27 / height, _title(runs), fontsize=LARGE, va="center")
    _legend(figure, runs)
    figure.text(0.985, 0.08 / height, _caption(runs), fontsize=SMALL, color=GREY, ha="right", va="bottom")
    return figure


def _column(figure: Figure, left: float, width: float, foot: float, number: int, most: float) -> list[Axes]:
    """Return panels above each other that share an x-axis, from the top, each at most `most` inches high."""
    height = figure.get_figheight()
    own = min(height - HEAD - foot - (number - 1) * GAP, most * number) / number
    made: list[Axes] = []
    for n in range(number):
        bottom = height - HEAD - own - n * (own + GAP)
        box = (left, bottom / height, width, own / height)
        made.append(figure.add_axes(box, sharex=made[0] if made else None))
    return made


def _named_axes(axes: Axes, name: str) -> None:
    """Write the name of an axis above it, where there is space for the words."""
    plain(axes)
    axes.set_title(name, loc="left", fontsize=NORMAL, color=INK, pad=5)


def _draw_loss(axes: Axes, label: str, runs: Sequence[Drawn | None]) -> None:
    _named_axes(axes, label)
    values: list[float] = []
    later: list[float] = []
    for run, look in zip(runs, LOOKS, strict=False):
        if run is not None:
            values += _draw_band(axes, run.metrics.loss, look, wide=0.9)
            points = _draw_points(axes, run.metrics.valid_loss, look)
            values, later = values + points, [*later, *points, *after_start(run.metrics.loss, SHADES)]
    _y_axis(axes, later or values)
    cut_start(axes, values, later)
    shown = [Line2D([], [], color=INK, linewidth=0.9, label="training")]
    if any(run is not None and len(run.metrics.valid_loss.columns()) for run in runs):
        mark: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "markersize": 4.5}
        shown.append(Line2D([], [], color=INK, linewidth=1.4, label="validation", **mark))
    axes.legend(
        handles=shown,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        fontsize=SMALL,
        frameon=False,
        ncols=2,
        borderaxespad=0.1,
    )


def _draw_measure(axes: Axes, name: str, runs: Sequence[Drawn]) -> None:
    _named_axes(axes, f"{name}, validation")
    values: list[float] = []
    for run, look in zip(runs, LOOKS, strict=False):
        if name in run.metrics.measures:
            values += _draw_points(axes, run.metrics.measures[name], look)
    _y_axis(axes, values)


def _draw_right(panels: Sequence[Axes], runs: Sequence[Drawn]) -> None:
    parts: tuple[tuple[str, Callable[[Metrics], Curve]], ...] = (
        ("learning rate", lambda metrics: metrics.learning_rate),
        ("gradient norm", lambda metrics: metrics.gradient_norm),
        ("steps / s", lambda metrics: metrics.throughput),
        ("store holds", lambda metrics: metrics.memory),
    )
    for axes, (label, curve_of) in zip(panels, parts, strict=True):
        _named_axes(axes, label)
        values: list[float] = []
        for run, look in zip(runs, LOOKS, strict=False):
            values += _draw_band(axes, curve_of(run.metrics), look, wide=1.4)
        if label == "store holds":
            axes.set_ylim(0, 1.12 * max(values, default=1.0))
            bytes_axis(axes.yaxis, 1.12 * max(values, default=1.0))
        else:
            _y_axis(axes, values if label == "gradient norm" else [])
            if values and label != "gradient norm":
                axes.set_ylim(bottom=0)
        if not values:
            axes.set_yticks([])
            axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", va="center", color=GREY)


def _draw_band(axes: Axes, curve: Curve, look: tuple[str, Any, str], wide: float) -> list[float]:
    """Draw means as a line and extremes as a shade around it; return what the axis should show."""
    columns = curve.columns()
    if not len(columns):
        return []
    colour, dashes, _ = look
    shade, line = columns.at_most(SHADES), columns.at_most(MEANS)
    if line.points > 1:
        axes.fill_between(shade.x, shade.low, shade.high, color=colour, alpha=0.22, linewidth=0, zorder=2, gid="shade")
    _line(axes, line, color=colour, linestyle=dashes, linewidth=wide, zorder=3, gid="line")
    return [float(shade.low.min()), float(shade.high.max())]


def _draw_points(axes: Axes, curve: Curve, look: tuple[str, Any, str]) -> list[float]:
    """Draw a curve of single measurements with marks, some of them where there are many."""
    columns = curve.columns().at_most(SHADES)
    if not len(columns):
        return []
    colour, dashes, marker = look
    _line(
        axes, columns, color=colour, linestyle=dashes, linewidth=1.4, marker=marker, markerfacecolor="white",
        markersize=4.5, markevery=-(-len(columns) // DOTS), zorder=4, gid="points",
    )  # fmt: skip
    return [float(columns.mean.min()), float(columns.mean.max())]


def _line(axes: Axes, columns: Columns, **look: Any) -> None:
    if len(columns) == 1 and "marker" not in look:
        look["marker"] = "."  # one point makes no line
    axes.plot(columns.x, columns.mean, **look)


def _y_axis(axes: Axes, values: Sequence[float]) -> None:
    """Scale an axis for values between these: logarithmic if they span several magnitudes."""
    if values and min(values) > 0 and max(values) / min(values) > RATIO:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=5))
        axes.yaxis.set_minor_formatter(NullFormatter())
        _named_axes(axes, axes.get_title(loc="left") + ", log scale")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5 if axes.bbox.height > 200 else 3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def _x_axis(column: Sequence[Axes], runs: Sequence[Drawn], over: Over) -> None:
    last = column[-1]
    most = max((getattr(run.metrics, over) or 0 for run in runs), default=0)
    unit, name = (60.0, "min") if over == "seconds" and most > 180 else (1.0, "s")
    last.set_xlim(0, 1.01 * max(most, 1e-9))
    count_axis(last.xaxis)
    if over == "seconds":
        last.xaxis.set_major_locator(MaxNLocator(5))
        last.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:,.4g}"))
    last.set_xlabel(f"{X_LABELS[over]} ({name})" if over == "seconds" else X_LABELS[over], fontsize=NORMAL, color=INK)
    for axes in column[:-1]:
        axes.tick_params(labelbottom=False)


def _legend(figure: Figure, runs: Sequence[Drawn]) -> None:
    handles: list[Line2D | Patch] = []
    for run, (colour, dashes, marker) in zip(runs, LOOKS, strict=False):
        look: dict[str, Any] = {"marker": marker, "markerfacecolor": "white", "markersize": 4.5}
        handles.append(Line2D([], [], color=colour, linestyle=dashes, linewidth=1.4, label=_named(run.name), **look))
    corner = (0.055, 0.22 / figure.get_figheight())
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=corner, ncols=2, fontsize=NORMAL, frameon=False,
        handlelength=5, columnspacing=3, borderaxespad=0,
    )  # fmt: skip


def _named(name: str, most: int = 70) -> str:
    return name if len(name) <= most else "…" + name[1 - most :]


def _title(runs: Sequence[Drawn]) -> str:
    return f"Training of {_named(runs[0].name)}" if len(runs) == 1 else f"Training of {len(runs)} runs"


def _caption(runs: Sequence[Drawn]) -> str:
    most = max(run.metrics.loss.columns().at_most(MEANS).points for run in runs)
    lost = sum(run.metrics.not_finite for run in runs)
    about = (
        f"lines: means over up to {most:,} batches; shades: lowest and highest" if most > 1 else "each batch as it is"
    )
    return about + (f"; {lost:,} batches that were not finite left out" if lost else "")
