"""What `rnnframe plan --plot` draws: the strategies that were planned, and the best of checkpointing for any budget."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rnnframe.drawing.front import Front, Point
from rnnframe.drawing.plans import plan_figure
from rnnframe.drawing.style import save
from rnnframe.engine.plan import RunPlan
from rnnframe.errors import UsageError
from rnnframe.inspection.calibration import Calibration
from rnnframe.registry.specs import render

BUDGETS = range(5, 21)  # with fewer there is no line
CHUNKS = 40_000  # of all budgets together: planning them takes a second or so


def draw_plans(
    path: Path,
    plan: Callable[[str], RunPlan],
    plans: Sequence[RunPlan],
    drawn: RunPlan,
    budget: int | None,
    calibration: Calibration,
) -> None:
    """Write the picture of these plans, of the budget if there is one, and of the schedule of `drawn`.

    `plan` plans a further store for the same run.
    """
    points = tuple(
        Point(render(run.largest.store), run.predicted_bytes, seconds, run.exact)
        for run, seconds in ((run, calibration.seconds(run.largest)) for run in plans)
        if run.predicted_bytes is not None and seconds is not None
    )
    line = tuple(_checkpoint_front(plan, calibration))
    one = drawn.largest
    time = calibration.chunk(one.grid.longest, one.batch, one.costs.shards)
    front = Front(points, budget, line, "checkpoint, for any budget")
    save(plan_figure(front, one, time.reverse / time.forward, drawn.predicted_bytes), path)


def _checkpoint_front(plan: Callable[[str], RunPlan], calibration: Calibration) -> list[tuple[int, float]]:
    """Return bytes and seconds of store checkpoint for budgets up to full history; none where that would take long."""
    try:
        least, most = plan("checkpoint"), plan("full-history")
    except UsageError:  # a plugin is disabled
        return []
    low, high = least.predicted_bytes or 0, most.predicted_bytes or 0
    number = min(BUDGETS[-1], CHUNKS // (least.largest.grid.chunks or CHUNKS))
    if number not in BUDGETS or not 0 < low < high:
        return []
    budgets = (round(low * (high / low) ** (n / (number - 1))) for n in range(number))
    runs = [least, *(plan(f"checkpoint:budget={budget}") for budget in budgets)]
    found = {(run.predicted_bytes or 0, calibration.seconds(run.largest) or 0.0) for run in runs}
    return sorted(found)
