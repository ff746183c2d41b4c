"""The picture of `rnnframe predict` for series: what was forecast, with its quantiles, beside what came.

Forecasts are made one horizon apart, so that they do not overlap; the last one looks beyond the end of the data.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnframe.arrays import Array
from rnnframe.contracts.forecasts import Forecasts, Origins
from rnnframe.drawing.style import BLUE, GREY, INK, LARGE, NORMAL, ORANGE, SKY, SMALL, ending, new_figure, plain

PANELS, ACROSS = 12, 3  # panels at most, and side by side
WIDE, HIGH, LEFT, RIGHT, TOP, BOTTOM, BETWEEN, ABOVE = 7.6, 2.9, 0.75, 0.2, 0.95, 0.5, 0.65, 0.6  # inches
SMALL_WIDE, SMALL_HIGH = 2.6, 1.5  # inches
ROWS, BLOCKS = 96, 8  # what is shown of a series at least: rows, and horizons


def origins_shown(horizon: int) -> Origins:
    """Return the origins that the picture needs, for a model that forecasts so many steps."""
    return Origins(stride=horizon, most=max(BLOCKS, -(-ROWS // horizon)) + 1, everywhere=True)


def forecasts_figure(forecasts: Iterable[Forecasts], name: str) -> Figure:
    """Return the picture of forecasts made at `origins_shown`; `name` says what they are for."""
    by_series: dict[str, list[Forecasts]] = {}
    for made in forecasts:
        by_series.setdefault(made.series, []).append(made)
    panels = [(pieces, place) for pieces in by_series.values() for place in range(len(pieces[0].columns))]
    shown = panels[:PANELS]
    across = min(len(shown), ACROSS)
    down = -(-len(shown) // across)
    wide, high = (WIDE, HIGH) if across == 1 else (SMALL_WIDE, SMALL_HIGH)
    width = LEFT + across * wide + (across - 1) * BETWEEN + RIGHT
    height = TOP + down * high + (down - 1) * ABOVE + BOTTOM
    figure = new_figure(width, height)
    for number, (pieces, place) in enumerate(shown):
        left = LEFT + number % across * (wide + BETWEEN)
        bottom = height - TOP - high - number // across * (high + ABOVE)
        axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
        _panel(axes, pieces, place, alone=across == 1)
    first = shown[0][0][0]
    steps = first.forecast.shape[1]
    told = "1 step ahead" if steps == 1 else f"{steps:,} steps ahead"
    told += "" if len(panels) == len(shown) else f"; the first {PANELS} of {len(panels):,} columns"
    figure.text(LEFT / width, 1 - 0.3 / height, f"Forecasts {told}", fontsize=LARGE, color=INK)
    figure.text(LEFT / width, 1 - 0.52 / height, ending(name), fontsize=SMALL, color=GREY)
    _legend(figure, figure.axes[0], first)
    return figure


def _panel(axes: Axes, pieces: Sequence[Forecasts], place: int, *, alone: bool) -> None:
    first = pieces[0]
    column, horizon = first.columns[place], first.forecast.shape[1]
    title = f"{first.series}: {column}" if first.series else column
    plain(axes, "", title if alone else "")
    if not alone:
        axes.set_title(title, fontsize=NORMAL, color=INK, loc="left", pad=4)
    axes.margins(x=0.01)
    times = np.concatenate([_ahead(made).ravel() for made in pieces])
    truth = np.concatenate([made.truth[..., place].ravel() for made in pieces])
    came = np.arange(len(truth)) <= int(np.flatnonzero(np.isfinite(truth)).max(initial=0))  # no line beyond the data
    axes.plot(times[came], truth[came], color=INK, linewidth=1.1, label="what came", zorder=3)
    for made in pieces:
        for row in np.flatnonzero(made.unseen):
            at = _ahead(made)[row]
            forecast = made.forecast[row, :, place]
            marker = "o" if horizon == 1 else ""
            if made.quantiles is not None:
                low, high = made.quantiles[row, :, place, 0], made.quantiles[row, :, place, -1]
                if horizon == 1:
                    axes.vlines(at, low, high, color=SKY, linewidth=2.5, zorder=1)
                else:
                    axes.fill_between(at, low, high, color=SKY, linewidth=0, zorder=1)
            axes.plot(at, forecast, color=BLUE, linewidth=1.5, marker=marker, markersize=2.5, zorder=4)
            if horizon > 1:
                axes.axvline(at[0], color=ORANGE, linewidth=0.6, alpha=0.6, zorder=0)
    if times.dtype.kind == "M":
        locator = AutoDateLocator(minticks=3, maxticks=8 if alone else 4)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.xaxis.get_offset_text().set_fontsize(SMALL)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(8 if alone else 4))
        if first.ahead is None:
            axes.set_xlabel("row", fontsize=SMALL, color=INK)
    axes.yaxis.set_major_locator(MaxNLocator(5 if alone else 3))
    axes.tick_params(labelsize=NORMAL if alone else SMALL)


def _ahead(made: Forecasts) -> Array:
    """Return where the steps ahead are drawn, [origins, horizon]: times, or rows."""
    if made.ahead is not None:
        return made.ahead
    horizon: Array = made.rows[:, None] + np.arange(1, made.forecast.shape[1] + 1)
    return horizon


def _legend(figure: Figure, axes: Axes, first: Forecasts) -> None:
    axes.plot([], [], color=BLUE, linewidth=1.5, label="forecast")
    if first.quantiles is not None:
        axes.fill_between([], [], [], color=SKY, label=f"quantiles {first.levels[0]:g} to {first.levels[-1]:g}")
    if first.forecast.shape[1] > 1:
        axes.axvline(np.nan, color=ORANGE, linewidth=0.6, label="first step ahead")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper right", ncols=2, fontsize=SMALL, frameon=False, labelcolor=INK, borderaxespad=0.6
    )
