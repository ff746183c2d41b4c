"""A schedule in the terms of a picture: what ran when, and what was held from when to when. No network, no drawing.

Work is counted in forward steps; the caller says how many of them a reverse step costs. The picture is known from the
literature on checkpointing: position in the sequence against work done (Griewank & Walther 2000, "Algorithm 799:
revolve", ACM TOMS 26(1)).
"""

from collections.abc import Iterator

import attrs

from rnnframe.engine.plan import Plan
from rnnframe.errors import OptionError
from rnnframe.inspection.recorder import Bar, Event, Held, Recorder, Run

__all__ = ["Bar", "Event", "Held", "Run", "Timeline", "follow", "timeline_of", "work_of"]

REVERSE_WORK = 2.0  # forward steps that a reverse step costs, if it was not measured


@attrs.frozen(kw_only=True)
class Timeline:
    """All runs and bars of a plan, and every change of what is held.

    Parameters
    ----------
    steps
        The length of the sequence.
    work
        The work of the whole plan, in forward steps.
    runs, bars, held
        The records, in order.
    all_runs, all_bars
        How many runs and bars the records stand for: more than there are records if some were merged.
    """

    steps: int
    work: float
    runs: tuple[Run, ...]
    bars: tuple[Bar, ...]
    held: tuple[Held, ...]
    all_runs: int
    all_bars: int


def timeline_of(plan: Plan, reverse_work: float = REVERSE_WORK) -> Timeline:
    """Return the whole timeline of a plan.

    Parameters
    ----------
    plan
        A plan of known length.
    reverse_work
        The cost of a reverse step, in forward steps.

    Returns
    -------
    Timeline
        The timeline, with nothing merged.

    Raises
    ------
    OptionError
        If the length of the plan is unknown.
    """
    events = list(follow(plan, reverse_work))
    runs = tuple(event for event in events if isinstance(event, Run))
    bars = tuple(event for event in events if isinstance(event, Bar))
    return Timeline(
        steps=plan.grid.steps or 0,
        work=work_of(plan, reverse_work),
        runs=runs,
        bars=bars,
        held=tuple(event for event in events if isinstance(event, Held)),
        all_runs=len(runs),
        all_bars=len(bars),
    )


def work_of(plan: Plan, reverse_work: float) -> float:
    """Return the work of a whole plan, in forward steps."""
    return plan.simulation.forward_steps + reverse_work * plan.simulation.reverse_steps


def follow(plan: Plan, reverse_work: float = REVERSE_WORK) -> Iterator[Event]:
    """Yield runs as they end, bars as they are released, and every change of what is held.

    Raises `OptionError` for a plan of unknown length, whose schedule may never end.
    """
    if plan.grid.steps is None:
        raise OptionError("a schedule of unknown length cannot be drawn; plan it for a number of steps")
    return Recorder(plan.grid, reverse_work, plan.store.stores_weights).follow(plan.schedule())
