"""What `rnnframe plan --plot` draws: the strategies that were planned, and the best of checkpointing for any budget."""

from collections.abc import Sequence
from pathlib import Path

from rnnframe.calibration import Calibration
from rnnframe.drawing.front import Front, Point
from rnnframe.drawing.plans import plan_figure
from rnnframe.drawing.style import save
from rnnframe.engine import Engine
from rnnframe.errors import UsageError
from rnnframe.network import Network
from rnnframe.plan import Plan
from rnnframe.specs import render

BUDGETS = range(5, 21)  # with fewer there is no line
CHUNKS = 40_000  # of all budgets together: planning them takes a second or so


def draw_plans(
    path: Path,
    network: Network,
    chunk: int | None,
    plans: Sequence[Plan],
    drawn: Plan,
    budget: int | None,
    calibration: Calibration,
) -> None:
    """Write the picture of these plans, of the budget if there is one, and of the schedule of `drawn`."""
    points = tuple(
        Point(render(plan.store), plan.predicted_bytes, seconds, plan.store.exact)
        for plan, seconds in ((plan, calibration.seconds(plan)) for plan in plans)
        if plan.predicted_bytes is not None and seconds is not None
    )
    line = tuple(_checkpoint_front(network, chunk, drawn, calibration))
    time = calibration.chunk(drawn.grid.longest, drawn.batch)
    save(
        plan_figure(Front(points, budget, line, "checkpoint, for any budget"), drawn, time.reverse / time.forward), path
    )


def _checkpoint_front(
    network: Network, chunk: int | None, drawn: Plan, calibration: Calibration
) -> list[tuple[int, float]]:
    """Return bytes and seconds of store checkpoint for budgets up to full history; none where that would take long."""

    def plan(spec: str) -> Plan:
        return Engine(network, spec, chunk).plan(drawn.grid.steps, drawn.batch)

    try:
        least, most = plan("checkpoint"), plan("full-history")
    except UsageError:  # a plugin is disabled
        return []
    low, high = least.predicted_bytes or 0, most.predicted_bytes or 0
    number = min(BUDGETS[-1], CHUNKS // (least.grid.chunks or CHUNKS))
    if number not in BUDGETS or not 0 < low < high:
        return []
    budgets = (round(low * (high / low) ** (n / (number - 1))) for n in range(number))
    plans = [least, *(plan(f"checkpoint:budget={budget}") for budget in budgets)]
    found = {(plan.predicted_bytes or 0, calibration.seconds(plan) or 0.0) for plan in plans}
    return sorted(found)
