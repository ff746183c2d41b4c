"""Memory against time: one point per strategy."""

from collections.abc import Sequence

import attrs
from matplotlib.axes import Axes

from rnnframe.drawing.labels import place_labels
from rnnframe.drawing.style import (
    BLUE,
    INK,
    ORANGE,
    SMALL,
    log_bytes_axis,
    log_seconds_axis,
    plain,
    short_bytes,
    wrapped,
)


@attrs.frozen
class Point:
    """A strategy in the picture.

    Parameters
    ----------
    label
        Its name.
    nbytes, seconds
        The bytes that it holds and the time that it takes.
    exact
        Whether its gradient is exact; otherwise it is truncated or rounded.
    """

    label: str
    nbytes: int
    seconds: float
    exact: bool


@attrs.frozen
class Front:
    """The contents of the picture.

    Parameters
    ----------
    points
        The strategies.
    budget
        A number of bytes to mark.
    line
        The best of one store for many budgets, as (bytes, seconds).
    line_label
        The name of this line.
    """

    points: tuple[Point, ...]
    budget: int | None = None
    line: tuple[tuple[int, float], ...] = ()
    line_label: str = ""


def draw_front(axes: Axes, front: Front) -> None:
    """Draw predicted seconds against predicted bytes; each point has its name beside it."""
    points = _distinct(front.points)
    sizes = [point.nbytes for point in points] + [nbytes for nbytes, _ in front.line]
    sizes += [] if front.budget is None else [front.budget]
    times = [point.seconds for point in points] + [seconds for _, seconds in front.line]
    log_bytes_axis(axes, *_wider(sizes, 2.0, 0.18))
    unit = log_seconds_axis(axes, *_wider(times, 1.6, 0.12))
    plain(axes, "predicted memory (log scale)", f"predicted time ({unit}, log scale)")
    if front.line:
        axes.plot(*zip(*front.line, strict=True), color=BLUE, linewidth=1.0, alpha=0.6, label=front.line_label)
    for exact, marker, colour, face in ((True, "o", BLUE, BLUE), (False, "D", ORANGE, "white")):
        chosen = [point for point in points if point.exact is exact]
        if chosen:
            axes.plot(
                [point.nbytes for point in chosen],
                [point.seconds for point in chosen],
                linestyle="none",
                marker=marker,
                markersize=6,
                markeredgewidth=1.6,
                color=colour,
                markerfacecolor=face,
                label="exact gradient" if exact else "truncated or rounded gradient",
                zorder=4,
            )
    if front.budget is not None:
        axes.axvline(
            front.budget, color=INK, linestyle="--", linewidth=1.0, label=f"budget {short_bytes(front.budget)}"
        )
    axes.grid(axis="y", color="#EEEEEE", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=SMALL, frameon=False)
    _label(axes, points, front)


def _wider(values: Sequence[float], least: float, share: float) -> tuple[float, float]:
    """Return limits with space for labels on both sides: a factor `least`, or a share of the whole (in logarithms)."""
    low, high = min(values), max(values)
    room = max(least, (high / low) ** share)
    return low / room, high * room


def _distinct(points: Sequence[Point]) -> list[Point]:
    """Return the points, with points at the same position joined into one that has all their names."""
    merged: dict[tuple[int, float, bool], list[str]] = {}
    for point in points:
        names = merged.setdefault((point.nbytes, point.seconds, point.exact), [])
        if point.label not in names:
            names.append(point.label)
    return [Point("\n".join(map(wrapped, names)), *place) for place, names in merged.items()]


def _label(axes: Axes, points: Sequence[Point], front: Front) -> None:
    trace: list[tuple[float, float]] = []
    for (a, s), (b, t) in zip(front.line, front.line[1:], strict=False):
        trace += [(a ** (1 - part) * b**part, s ** (1 - part) * t**part) for part in (k / 12 for k in range(12))]
    if front.budget is not None:
        low, high = axes.get_ylim()
        trace += [(front.budget, low * (high / low) ** (part / 60)) for part in range(61)]
    place_labels(axes, [(p.nbytes, p.seconds) for p in points], [p.label for p in points], trace)
