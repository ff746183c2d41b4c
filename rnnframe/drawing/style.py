"""What all pictures share: colours, axes, units, and how a file is written.

The colours are from the palette of Okabe & Ito (2008), "Color universal design". Where two are equally dark, shape or
width distinguishes them. Nothing here changes matplotlib's global state: no pyplot, no rcParams.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from rnnframe.errors import RnnframeError
from rnnframe.sizes import human_bytes
from rnnframe.storage.durable import check_replaceable

DPI, MOST_PIXELS = 150, 1860  # a picture is no wider than an ordinary screen
SMALL, NORMAL, LARGE = 7.5, 8.5, 10.0  # points

INK, GREY, MIDDLE, LIGHT = "#222222", "#666666", "#ABABAB", "#DDDDDD"
BLUE, ORANGE, GREEN, SKY, PURPLE = "#004C80", "#E69F00", "#009E73", "#BFE3F5", "#CC79A7"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; width and height in inches."""
    figure = Figure(figsize=(width, height), dpi=min(DPI, MOST_PIXELS / width), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain(axes: Axes, x: str = "", y: str = "") -> None:
    """Name the axes, with units, and draw no more lines than necessary."""
    axes.set_facecolor("white")
    axes.set_xlabel(x, fontsize=NORMAL, color=INK)
    axes.set_ylabel(y, fontsize=NORMAL, color=INK)
    axes.tick_params(labelsize=NORMAL, colors=INK, length=3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)


def count_axis(axis: Any, ticks: int = 5) -> None:
    """Label an axis with whole numbers such as 100,000."""
    axis.set_major_locator(MaxNLocator(ticks, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def bytes_axis(axis: Any, most: float) -> None:
    """Label a linear axis from 0 to `most` bytes at round multiples of a binary unit."""
    unit = 1.0
    while most >= 1024 * unit:
        unit *= 1024
    name = short_bytes(unit).partition(" ")[2]
    steps = MaxNLocator(3).tick_values(0, most / unit)
    axis.set_major_locator(FixedLocator([float(step) * unit for step in steps if 0 <= step * unit <= 1.02 * most]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g} {name}"))


def log_bytes_axis(axes: Axes, least: float, most: float) -> None:
    """Make the x-axis logarithmic from `least` to `most` bytes, with ticks at powers of two."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(least, most)
    powers = [power for power in range(64) if least <= 2.0**power <= most]
    every = -(-len(powers) // 7)
    axes.xaxis.set_major_locator(FixedLocator([2.0**power for power in powers if power % every == 0]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_bytes(value)))


def log_seconds_axis(axes: Axes, least: float, most: float) -> str:
    """Make the y-axis logarithmic from `least` to `most` seconds, with ticks at round numbers; return the unit."""
    unit, scale = seconds_unit(most)
    axes.set_yscale("log")
    axes.set_ylim(least, most)
    for digits in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [digit * 10.0**power for power in range(-9, 9) for digit in digits]
        shown = [tick for tick in ticks if least <= tick <= most]
        if len(shown) > 3:
            break
    axes.yaxis.set_major_locator(FixedLocator(shown))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * scale:,.6g}"))
    return unit


def seconds_unit(most: float) -> tuple[str, float]:
    """Return a unit in which times up to so many seconds are easy to read, and its number per second."""
    return next(((name, scale) for name, scale in (("s", 1.0), ("ms", 1e3)) if most * scale >= 0.3), ("µs", 1e6))


def short_bytes(count: float) -> str:
    """Write a tick: 4 MiB, 1.5 GiB."""
    return human_bytes(round(count)).replace(".0 ", " ")


def wrapped(spec: str, width: int = 30) -> str:
    """Break a long spec into lines after its name or between its options."""
    lines = [""]
    for part in _parts(spec):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line if len(line) <= width + 8 else line[: width + 7] + "…" for line in lines)


def _parts(spec: str) -> list[str]:
    text = spec
    for sign in ":,; ":
        text = text.replace(sign, sign + "\0")
    return text.split("\0")


def ending(name: str, most: int = 60) -> str:
    """Return the end of a long name, which is that of the file."""
    return name if len(name) <= most else "…" + name[1 - most :]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as .png or .svg: to a temporary file first, then renamed; raises `RnnframeError` on failure."""
    beside = ""
    try:
        check_replaceable(path)
        handle, beside = tempfile.mkstemp(prefix=".rnnframe-", suffix=".new", dir=path.parent)
        os.close(handle)
        kind = path.suffix[1:].lower()
        figure.savefig(beside, format=kind, metadata={"Date": None} if kind == "svg" else None)
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
    except BaseException as error:
        if beside:
            Path(beside).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise RnnframeError(f"the picture {str(path)!r} cannot be written: {error.strerror or error}") from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
