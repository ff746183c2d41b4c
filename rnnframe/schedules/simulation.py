"""Run a schedule without a network: check it, and count what it holds and does.

Every store is judged by the simulator. It follows the schedule action by action, with chunk numbers in place of arrays,
and raises `ScheduleError` at the first action that cannot be executed exactly.
"""

from collections.abc import Generator, Sequence

import attrs

from rnnframe.errors import ScheduleError
from rnnframe.schedules.actions import Action, Schedule
from rnnframe.schedules.grid import Grid
from rnnframe.schedules.judge import Judge, UnboundedError

SETTLED_AFTER = 64  # actions; an endless schedule is followed until its peaks have stayed constant for longer
GIVE_UP_AFTER = 200_000  # actions


@attrs.frozen(kw_only=True)
class Simulation:
    """The peak memory and the total work of a schedule, in numbers of buffers, chunks and steps.

    Parameters
    ----------
    peaks
        Pairs of the numbers of tapes and snapshots that are held at once, without pairs that are below another in both
        numbers. The temporary tape of a `Forward` without `keep` counts as one. The lowest free buffer is always used
        first; a free buffer below one in use counts.
    far_snapshots
        The most snapshots at once in the store's medium.
    versions
        The most old versions of the weights that are kept at once for tapes.
    forward_chunks, forward_steps
        What is run forward in all.
    reverse_chunks, reverse_steps
        What is reversed in all.
    updates, actions
        The numbers of updates and of all actions.
    far_saves, far_loads
        How often a snapshot is written to the store's medium, and how often one is read from there.
    bounded
        False if an endless schedule keeps more and more, so that it has no peak.
    beside
        Bytes of chunks that their tapes have no room for, all buffers together; each keeps the most of its chunks.
    """

    peaks: tuple[tuple[int, int], ...]
    far_snapshots: int
    versions: int
    forward_chunks: int
    forward_steps: int
    reverse_chunks: int
    reverse_steps: int
    updates: int
    actions: int
    far_saves: int = 0
    far_loads: int = 0
    bounded: bool = True
    beside: int = 0

    @property
    def tapes(self) -> int:
        """The most tapes at once."""
        return max((tapes for tapes, _ in self.peaks), default=0)

    @property
    def snapshots(self) -> int:
        """The most snapshots at once in RAM."""
        return max((snapshots for _, snapshots in self.peaks), default=0)


def simulate(schedule: Schedule, grid: Grid, *, stored_weights: bool = False, beside: Sequence[int] = ()) -> Simulation:
    """Follow a schedule to its end without a network.

    A schedule over a grid without end is followed until its peaks stay constant.

    Parameters
    ----------
    schedule
        A generator of actions.
    grid
        The division of time into chunks.
    stored_weights
        Whether old versions of the weights are kept for tapes, and counted.
    beside
        Bytes of each chunk that its tape has no room for; none by default.

    Returns
    -------
    Simulation
        Peaks and totals.

    Raises
    ------
    ScheduleError
        If an action cannot be executed, the schedule has no end, a loss is counted twice or never, or a tape or
        snapshot is left over.
    """
    if not isinstance(schedule, Generator):
        raise ScheduleError(f"a schedule is a generator of actions, not a {type(schedule).__name__}; yield them")
    judge = Judge(grid, stored_weights, beside=beside)
    endless = grid.steps is None
    seen, patience = 0, 1000 + 20 * (grid.chunks or 0)
    try:
        action = next(schedule, None)
        while action is not None:
            answer = judge.take(action)
            settled = judge.totals["actions"] > 2 * judge.last_rise + SETTLED_AFTER
            if not endless and judge.totals["actions"] >= patience:
                _check_progress(judge, seen)
                seen, patience = judge.losses, 2 * patience
            if endless and (settled or judge.totals["actions"] > GIVE_UP_AFTER):
                return _result(judge, bounded=settled)
            action = _following(schedule, answer)
    except UnboundedError as forward:
        return _result(judge, bounded=not forward.keep)
    finally:
        schedule.close()
    judge.finish()
    return _result(judge, bounded=True)


def _check_progress(judge: Judge, before: int) -> None:
    """Raise `ScheduleError` where no loss has come in for half of all actions, far more than any sweep needs."""
    if judge.losses == before:
        raise ScheduleError(
            f"the schedule has no end: {judge.totals['actions']:,} actions over {judge.grid.chunks:,} chunks, and no "
            "new loss in the second half of them; return after the last Reverse"
        )


def _result(judge: Judge, *, bounded: bool) -> Simulation:
    return Simulation(
        peaks=judge.peak_pairs(), **judge.peaks, **judge.totals, bounded=bounded, beside=sum(judge.most_beside.values())
    )


def _following(schedule: Schedule, answer: int | None) -> Action | None:
    try:
        return schedule.send(answer)
    except StopIteration:
        return None
    except AttributeError as error:
        if error.name != "send":
            raise
        raise ScheduleError(
            f"the schedule yields from a {type(error.obj).__name__}, which cannot be told how far a Forward got; "
            "yield the actions one by one"
        ) from error
