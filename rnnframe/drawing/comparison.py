"""The picture of `rnnframe compare`: predicted beside measured bytes and seconds, one row per store."""

from collections.abc import Sequence
from typing import Any

import attrs
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rnnframe.drawing.style import (
    BLUE,
    GREY,
    INK,
    LARGE,
    LIGHT,
    NORMAL,
    ORANGE,
    SMALL,
    log_bytes_axis,
    new_figure,
    plain,
    seconds_unit,
    wrapped,
)
from rnnframe.sizes import human_bytes

# Inches
ROW, TOP, BOTTOM = 0.72, 0.75, 1.15
MARKS = {  # what: marker, colour, face, size
    "predicted": ("o", BLUE, "white", 9),
    "held": (".", BLUE, BLUE, 8),
    "above idle": ("D", ORANGE, "none", 12),  # around the others, which it must not cover
}


@attrs.frozen
class Compared:
    """One store, predicted and measured.

    Parameters
    ----------
    store
        Its spec.
    predicted_bytes, held_bytes, above_idle_bytes
        Bytes: the prediction, the buffers, and the peak of the process above what it held before.
    predicted_seconds, seconds
        The prediction, and the measured time.
    difference
        How its gradient differs from that of full history, in words.
    """

    store: str
    predicted_bytes: int | None
    held_bytes: int
    above_idle_bytes: int | None
    predicted_seconds: float | None
    seconds: float
    difference: str


def comparison_figure(rows: Sequence[Compared], note: str) -> Figure:
    """Return the picture: dots for bytes on the left, for seconds on the right, the difference beside them."""
    width, height = 12.4, TOP + ROW * len(rows) + BOTTOM
    figure = new_figure(width, height)
    bottom, share = BOTTOM / height, ROW * len(rows) / height
    left = figure.add_axes((0.18, bottom, 0.35, share))
    right = figure.add_axes((0.56, bottom, 0.24, share), sharey=left)
    figure.text(0.015, 1 - 0.32 / height, "Predicted and measured, one run of each store", fontsize=LARGE, va="center")
    _draw_bytes(left, rows)
    _draw_seconds(right, rows)
    left.set_ylim(len(rows) - 0.4, -0.6)
    left.set_yticks(range(len(rows)), [wrapped(row.store, 26) for row in rows], fontsize=NORMAL, linespacing=1.1)
    left.tick_params(axis="y", length=0)
    right.tick_params(axis="y", length=0, labelleft=False)
    figure.text(0.82, 1 - 0.6 / height, "gradient, beside full history", fontsize=NORMAL, color=GREY, va="center")
    for n, row in enumerate(rows):
        text: dict[str, Any] = {"fontsize": NORMAL, "color": INK, "va": "center", "linespacing": 1.1}
        right.text(1.083, n, wrapped(row.difference, 24), transform=right.get_yaxis_transform(), **text)
    figure.text(0.985, 0.1 / height, note, fontsize=SMALL, color=GREY, ha="right", va="bottom")
    return figure


def _draw_bytes(axes: Axes, rows: Sequence[Compared]) -> None:
    found = [(row.predicted_bytes, row.held_bytes, row.above_idle_bytes) for row in rows]
    sizes = [size for row in found for size in row if size]
    log_bytes_axis(axes, min(sizes) / 2, max(sizes) * 2)
    plain(axes, "memory (log scale)")
    _rules(axes, rows)
    for what, values in zip(MARKS, zip(*found, strict=True), strict=True):
        _dots(axes, what, values)
    for n, (predicted, held, above) in enumerate(found):
        words = [f"predicted {human_bytes(predicted)}", f"held {human_bytes(held)}"]
        words += [] if above is None else [f"above idle {human_bytes(above)}"]
        _words(axes, n, words)
    _legend(axes, {"predicted": "predicted", "held": "held by the buffers", "above idle": "resident set above idle"})


def _draw_seconds(axes: Axes, rows: Sequence[Compared]) -> None:
    times = [row.predicted_seconds or 0.0 for row in rows] + [row.seconds for row in rows]
    unit, scale = seconds_unit(max(times))
    axes.set_xlim(0, 1.1 * max(times))
    plain(axes, f"time ({unit})")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * scale:,.6g}"))
    _rules(axes, rows)
    _dots(axes, "predicted", [row.predicted_seconds for row in rows])
    _dots(axes, "held", [row.seconds for row in rows])
    for n, row in enumerate(rows):
        words = [] if row.predicted_seconds is None else [f"predicted {row.predicted_seconds * scale:.3g} {unit}"]
        _words(axes, n, [*words, f"measured {row.seconds * scale:.3g} {unit}"])
    _legend(axes, {"predicted": "predicted", "held": "measured"})


def _dots(axes: Axes, what: str, values: Sequence[float | None]) -> None:
    marker, colour, face, size = MARKS[what]
    known = [(value, n) for n, value in enumerate(values) if value is not None]
    if known:
        axes.plot(
            *zip(*known, strict=True), linestyle="none", marker=marker, color=colour, markerfacecolor=face,
            markeredgewidth=1.5, markersize=size, zorder=3,
        )  # fmt: skip


def _rules(axes: Axes, rows: Sequence[Compared]) -> None:
    for n in range(len(rows)):
        axes.axhline(n, color=LIGHT, linewidth=0.8, zorder=0)


def _words(axes: Axes, row: int, words: Sequence[str]) -> None:
    """Write the numbers of a row above its dots, starting at the left edge, where there is no dot."""
    axes.annotate(
        "   ".join(words),
        xy=(0, row - 0.23),
        xycoords=axes.get_yaxis_transform(),
        xytext=(4, 0),
        textcoords="offset points",
        va="bottom",
        fontsize=SMALL,
        color=INK,
        gid="label",
    )


def _legend(axes: Axes, names: dict[str, str]) -> None:
    handles = []
    for what, name in names.items():
        marker, colour, face, size = MARKS[what]
        shown: dict[str, Any] = {"marker": marker, "color": colour, "markerfacecolor": face, "markersize": size}
        handles.append(Line2D([], [], linestyle="none", markeredgewidth=1.5, label=name, **shown))
    height = axes.get_window_extent().height / axes.figure.dpi
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.5 / height), ncols=3, fontsize=SMALL, frameon=False
    )
