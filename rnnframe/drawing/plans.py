"""The picture of `rnnframe plan`: memory against time of every strategy, and the schedule of one of them."""

from matplotlib.figure import Figure

from rnnframe.drawing.front import Front, draw_front
from rnnframe.drawing.style import GREY, LARGE, SMALL, new_figure, wrapped
from rnnframe.drawing.timeline import draw_held, draw_timeline
from rnnframe.engine.plan import Plan
from rnnframe.inspection.condense import condensed_timeline
from rnnframe.inspection.timeline import Timeline
from rnnframe.registry.specs import render


def plan_figure(front: Front, plan: Plan, reverse_work: float, of_all: int | None = None) -> Figure:
    """Return the picture: memory against time on the left; the timeline and the bytes of a plan on the right.

    Parameters
    ----------
    front
        The strategies for the left side.
    plan
        The plan for the right side.
    reverse_work
        The cost of a reverse step, in forward steps.
    of_all
        The bytes that all threads hold at the peak, as on the left side; by default those of `plan`, for one thread.
    """
    figure = new_figure(12.4, 6.4)
    left = figure.add_axes((0.055, 0.2, 0.4, 0.72))
    upper = figure.add_axes((0.545, 0.42, 0.425, 0.415))
    lower = figure.add_axes((0.545, 0.2, 0.425, 0.18), sharex=upper)
    draw_front(left, front)
    timeline = condensed_timeline(plan, reverse_work)
    draw_timeline(upper, timeline)
    upper.tick_params(labelbottom=False)
    draw_held(lower, timeline, plan, reverse_work, of_all or plan.predicted_bytes or 0)
    figure.text(0.015, 0.955, "Memory and time of every strategy", fontsize=LARGE, va="center")
    figure.text(0.5, 0.955, _title(plan), fontsize=LARGE, va="center", linespacing=1.1)
    figure.text(0.985, 0.012, caption(timeline, plan), fontsize=SMALL, color=GREY, ha="right", va="bottom")
    return figure


def _title(plan: Plan) -> str:
    return "Schedule of " + wrapped(render(plan.store), 60)


def caption(timeline: Timeline, plan: Plan) -> str:
    """Return a text that says what the timeline shows, and what was merged in it."""
    about = f"{timeline.steps:,} steps in chunks of {plan.grid.longest:,}, batch {plan.batch:,}"
    if plan.costs.shards > 1:
        about += f" in each of {plan.costs.shards} threads, bytes of all"
    merged = [
        f"{whole:,} {name} as {drawn:,} marks"
        for name, whole, drawn in (
            ("runs", timeline.all_runs, len(timeline.runs)),
            ("bars", timeline.all_bars, len(timeline.bars)),
        )
        if drawn < whole
    ]
    return about + ("; merged: " + ", ".join(merged) if merged else "")
