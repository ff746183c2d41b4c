"""Labels beside their points, placed so that none covers another, a point, or the edge of the picture."""

import itertools
from collections.abc import Iterator, Sequence
from math import cos, hypot, pi, sin
from typing import Any, cast

import attrs
from matplotlib.axes import Axes

from rnnframe.drawing.style import GREY, INK, SMALL

# Pixels, at the resolution of `style.DPI`.
RADII = (9, 14, 22, 34, 50, 70, 95, 125, 160)  # between a point and the nearest edge of its label
LEADER = 15  # from this distance on, a line connects the point with its label
MARK = 6  # half the size of a point
GAP = 8  # between two labels

ANGLES = 16
SWEEPS = 6
BEST = 100  # places of a label that are compared with those of the others
BAD = 200  # cost of a pixel of overlap, in pixels of distance


@attrs.frozen
class Box:
    """A rectangle on the screen, in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, x: float, y: float, half: float) -> "Box":
        """Return the square around a point."""
        return cls(x - half, y - half, x + half, y + half)

    def overlap(self, other: "Box") -> float:
        """Return the area that two boxes share."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.top, other.top) - max(self.bottom, other.bottom)
        return wide * high if wide > 0 and high > 0 else 0.0

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the box that is nearest to a point."""
        return min(max(x, self.left), self.right), min(max(y, self.bottom), self.top)


@attrs.frozen
class Place:
    """A possible place for a label: its box, the boxes along the line that leads there, and its own cost."""

    box: Box
    leader: tuple[Box, ...]
    cost: float

    def clash(self, other: "Place") -> float:
        """Return the cost of using both places."""
        crossed = sum(dot.overlap(other.box) for dot in self.leader) + sum(
            dot.overlap(self.box) for dot in other.leader
        )
        if self.leader and other.leader:
            crossed += sum(dot.overlap(spot) for dot in self.leader for spot in other.leader)
        return BAD * (self.box.overlap(other.box) + crossed)


def place_labels(
    axes: Axes, points: Sequence[tuple[float, float]], texts: Sequence[str], lines: Sequence[tuple[float, float]] = ()
) -> None:
    """Write each text beside its point. Limits, scales and layout of the axes must be final.

    Parameters
    ----------
    axes
        The axes to write into.
    points, texts
        The points, in data units, and their labels.
    lines
        Positions that should stay free if possible, in data units.
    """
    renderer = cast(Any, axes.figure.canvas).get_renderer()  # matplotlib declares no type for it
    spots = [(float(x), float(y)) for x, y in map(axes.transData.transform, points)]
    marks = [Box.around(x, y, MARK) for x, y in spots]
    traces = [Box.around(x, y, 2) for x, y in map(axes.transData.transform, lines)]
    window = axes.get_window_extent(renderer)
    frame = Box(window.x0 + 3, window.y0 + 3, window.x1 + 3, window.y1)
    choices = []
    for (x, y), text in zip(spots, texts, strict=True):
        trial = axes.text(0, 0, text, fontsize=SMALL, linespacing=1.1)
        size = trial.get_window_extent(renderer)
        trial.remove()
        places = _places(x, y, size.width + GAP, size.height + GAP, frame, marks, traces)
        choices.append(sorted(places, key=lambda place: place.cost)[:BEST])
    for spot, point, text, place in zip(spots, points, texts, _choose(choices), strict=True):
        _write(axes, spot, point, text, place)


def _choose(choices: Sequence[Sequence[Place]]) -> list[Place]:
    """Return a place for each label: choose the best place for one after the other, several times."""
    chosen: dict[int, Place] = {}
    for n in [*range(len(choices))] * SWEEPS:
        others = [place for m, place in chosen.items() if m != n]
        chosen[n] = min(choices[n], key=lambda place: place.cost + sum(place.clash(other) for other in others))
    return [chosen[n] for n in range(len(choices))]


def _places(
    x: float, y: float, width: float, height: float, frame: Box, marks: Sequence[Box], traces: Sequence[Box]
) -> Iterator[Place]:
    """Yield places around a point: near is better than far, beside better than above."""
    for radius, turn in itertools.product(RADII, range(ANGLES)):
        across, along = cos(2 * pi * turn / ANGLES), sin(2 * pi * turn / ANGLES)
        # The middle of the box is pushed out by half its size, so that its edge is `radius` away.
        middle_x = x + across * radius + (width / 2) * max(-1.0, min(1.0, 1.6 * across))
        middle_y = y + along * radius + (height / 2) * max(-1.0, min(1.0, 1.6 * along))
        box = Box(middle_x - width / 2, middle_y - height / 2, middle_x + width / 2, middle_y + height / 2)
        leader = tuple(_leader(x, y, *box.nearest(x, y)))
        outside = width * height - box.overlap(frame)
        covered = sum(box.overlap(mark) for mark in marks)
        crossed = sum(dot.overlap(mark) for dot in leader for mark in marks if mark != Box.around(x, y, MARK))
        cost = (
            BAD * (outside + covered + crossed)
            + 5 * sum(box.overlap(trace) for trace in traces)
            + radius
            + 2 * abs(along)
        )
        yield Place(box, leader, cost)


def _leader(x: float, y: float, end_x: float, end_y: float) -> Iterator[Box]:
    length = hypot(end_x - x, end_y - y)
    if length > LEADER:
        for part in range(2 * MARK, int(length), 5):
            yield Box.around(x + part / length * (end_x - x), y + part / length * (end_y - y), 2)


def _write(axes: Axes, spot: tuple[float, float], point: tuple[float, float], text: str, place: Place) -> None:
    (x, y), box, scale = spot, place.box, 72 / axes.figure.dpi
    axes.annotate(
        text,
        xy=point,
        xytext=(((box.left + box.right) / 2 - x) * scale, ((box.bottom + box.top) / 2 - y) * scale),
        textcoords="offset points",
        ha="center",
        va="center",
        multialignment="left",
        fontsize=SMALL,
        color=INK,
        linespacing=1.1,
        zorder=6,
        gid="label",
    )
    if place.leader:
        ends = axes.transData.inverted().transform([(x, y), box.nearest(x, y)])
        axes.plot(*zip(*ends, strict=True), color=GREY, linewidth=0.6, zorder=2, scalex=False, scaley=False)
