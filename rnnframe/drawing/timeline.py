"""A schedule as a picture: position in the sequence against work done, and below it the bytes that are held."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rnnframe.drawing.style import BLUE, GREEN, INK, MIDDLE, ORANGE, PURPLE, SKY, SMALL, bytes_axis, count_axis, plain
from rnnframe.engine.plan import Plan
from rnnframe.inspection.timeline import Bar, Run, Timeline
from rnnframe.sizes import human_bytes

RUNS = {  # kind: colour, width in points, what it is
    "forward": (BLUE, 0.9, "forward"),
    "taping": (BLUE, 2.2, "forward, tapes kept"),
    "reverse": (ORANGE, 2.6, "reverse"),
}
BARS: dict[str, tuple[Any, str]] = {"snapshot": ("-", "snapshot"), "far": ((0, (2, 1.2)), "snapshot in the medium")}


def draw_timeline(axes: Axes, timeline: Timeline) -> None:
    """Draw runs as lines, snapshots as thin bars, and tapes as bars as thick as the steps that they cover."""
    steps, work = timeline.steps, timeline.work
    plain(axes, y="position in the sequence (steps)")
    _draw_tapes(axes, timeline)
    handles: list[Line2D | Patch] = []
    for kind, (colour, width, name) in RUNS.items():
        runs = [run for run in timeline.runs if run.kind == kind]
        if runs:
            axes.add_collection(LineCollection(_lines(runs), colors=colour, linewidths=width, zorder=4, gid=kind))
            handles.append(Line2D([], [], color=colour, linewidth=width, label=name))
    for kind, (dashes, name) in BARS.items():
        bars = [bar for bar in timeline.bars if bar.kind == kind]
        if bars:
            lines = [[(bar.made, _height(bar)), (bar.released, _height(bar))] for bar in bars]
            thin = 1.1 if len(bars) < 100 else 0.7
            shown = LineCollection(lines, colors=GREEN, linewidths=thin, linestyles=[dashes], zorder=3, gid=kind)
            axes.add_collection(shown)
            handles.append(Line2D([], [], color=GREEN, linewidth=1.1, linestyle=dashes, label=name))
    if any(bar.kind == "tape" for bar in timeline.bars):
        handles.append(Patch(facecolor=SKY, label="tape"))
    axes.set_xlim(-0.01 * work, 1.01 * work)
    axes.set_ylim(-0.015 * steps, 1.015 * steps)
    count_axis(axes.yaxis)
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, fontsize=SMALL, frameon=False,
        columnspacing=1.4, handlelength=1.8, borderaxespad=0.2,
    )  # fmt: skip


def _lines(runs: Sequence[Run]) -> list[list[tuple[float, float]]]:
    return [[(run.begun, run.first), (run.ended, run.last)] for run in runs]


def _height(bar: Bar) -> float:
    return (bar.start + bar.stop) / 2


def _draw_tapes(axes: Axes, timeline: Timeline) -> None:
    boxes = [
        [(bar.made, bar.start), (bar.released, bar.start), (bar.released, bar.stop), (bar.made, bar.stop)]
        for bar in timeline.bars
        if bar.kind == "tape"
    ]
    # The outline is drawn too, or a tape of a few of many steps would be thinner than a pixel.
    axes.add_collection(PolyCollection(boxes, facecolors=SKY, edgecolors=SKY, linewidths=0.8, zorder=1, gid="tape"))


def draw_held(axes: Axes, timeline: Timeline, plan: Plan, reverse_work: float, of_all: int) -> None:
    """Draw the bytes held against work done, stacked by type; at the peak all threads hold `of_all` bytes."""
    costs, held = plan.costs, timeline.held
    assert plan.predicted_bytes is not None  # the length is known
    threads = of_all / plan.predicted_bytes
    times = np.array([*(one.at for one in held), timeline.work])
    parts = [
        ("states, working arrays", MIDDLE, None, [costs.fixed for _ in held]),
        (
            "snapshots",
            GREEN,
            None,
            [one.snapshots * costs.snapshot + one.far * costs.far for one in held],
        ),
        ("tapes", SKY, None, [one.tapes * costs.tape for one in held]),
        ("old weights", PURPLE, "////", [one.versions * costs.weights for one in held]),
    ]
    floor = np.zeros(len(held) + 1)
    for name, colour, hatch, values in parts:
        if any(values):
            top = floor + threads * np.array([*values, values[-1]])
            axes.fill_between(
                times, floor, top, step="post", facecolor=colour, edgecolor="white" if hatch else "none", hatch=hatch,
                linewidth=0, label=name,
            )  # fmt: skip
            floor = top
    peak = of_all
    axes.axhline(peak, color=INK, linestyle=":", linewidth=1.0, label=f"predicted peak {human_bytes(peak)}")
    about = f"work done (forward steps; a reverse step counts {reverse_work:.2g})"
    plain(axes, x=about, y="held" if costs.shards == 1 else f"held, {costs.shards} threads")
    axes.set_ylim(0, 1.12 * peak)
    bytes_axis(axes.yaxis, 1.12 * peak)
    count_axis(axes.xaxis)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.45, -0.42), ncols=3, fontsize=SMALL, frameon=False, columnspacing=1.4,
        handlelength=1.4,
    )  # fmt: skip
