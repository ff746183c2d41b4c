"""A second reading of the action vocabulary: plain lists and dicts, one chunk at a time.

It is the witness for stores and for `rnnframe.simulate`, so it shares no code with either and does not even ask the
grid where a chunk begins: it lays the pattern out step by step.
"""

import itertools
from collections import Counter
from collections.abc import Iterator

import attrs

from rnnframe.schedules import Drop, Forget, Forward, Grid, Load, Reverse, Save, Schedule, Update


def cuts(grid: Grid) -> Iterator[int]:
    """Yield the step at which each chunk begins, and at last the end if there is one."""
    step = 0
    for length in itertools.cycle(grid.pattern):
        yield step if grid.steps is None else min(step, grid.steps)
        if grid.steps is not None and step >= grid.steps:
            return
        step += length


def lengths(grid: Grid, chunks: int | None = None) -> list[int]:
    """Return the steps of every chunk, or of the first `chunks`."""
    ends = cuts(grid) if chunks is None else itertools.islice(cuts(grid), chunks + 1)
    return [stop - start for start, stop in itertools.pairwise(ends)]


@attrs.define
class Record:
    """What was seen while a schedule ran."""

    most_tapes: int = 0
    most_steps_of_tape: int = 0
    most_snapshots: int = 0
    most_far: int = 0
    far_saves: int = 0
    far_loads: int = 0
    peaks: set[tuple[int, int]] = attrs.field(factory=set)  # tapes and snapshots in RAM
    most_versions: int = 0
    forwards: Counter[int] = attrs.field(factory=Counter)
    losses: Counter[int] = attrs.field(factory=Counter)
    reversals: list[int] = attrs.field(factory=list)
    slots_used: set[int] = attrs.field(factory=set)
    updates: int = 0
    actions: list[object] = attrs.field(factory=list)

    def most_together(self) -> tuple[tuple[int, int], ...]:
        """Return the pairs of which none is below another in both, the most snapshots first."""
        pairs = {(t, s) for t, s in self.peaks if not any(a >= t and b >= s for a, b in self.peaks - {(t, s)})}
        return tuple(sorted(pairs, key=lambda pair: -pair[1]))


def follow(schedule: Schedule, length: list[int], *, stored_weights: bool = False) -> Record:
    """Run a schedule over chunks of these lengths, after which the source ends, and assert that every action can be
    done and that nothing is left over.
    """
    seen = Record()
    here, version = 0, 0
    ring: list[tuple[int, int]] = []  # chunk, and the version of the weights that made its tape
    snapshots: dict[int, int] = {}
    far: set[int] = set()
    answer = None
    while True:
        try:
            action = schedule.send(answer)
        except StopIteration:
            break
        answer = None
        seen.actions.append(action)
        if isinstance(action, Forward):
            assert action.start == here, "a run goes on from the current state"
            while here < len(length) and here != action.stop:
                passing = [(here, version)]
                assert here not in [chunk for chunk, _ in ring], "no chunk has two tapes"
                seen.most_tapes = max(seen.most_tapes, len(ring + passing))
                seen.peaks.add((len(ring + passing), len(snapshots) - len(far)))
                seen.most_steps_of_tape = max(seen.most_steps_of_tape, sum(length[n] for n, _ in ring + passing))
                ring += passing if action.keep else []
                seen.forwards[here] += 1
                here += 1
            answer = here
        elif isinstance(action, Reverse):
            assert action.stop > action.start, "a sweep reverses something"
            tapes = [chunk for chunk, _ in ring]
            newest = tapes[len(tapes) - (action.stop - action.start) :]
            assert newest == list(range(action.start, action.stop)), "a sweep reverses the newest tapes"
            seen.reversals += reversed(newest)
            seen.losses.update(chunk for chunk in newest if chunk >= action.losses_from)
            ring = ring if action.keep else ring[: -len(newest)]
        elif isinstance(action, Forget):
            ring = [(chunk, made) for chunk, made in ring if chunk >= action.before]
        elif isinstance(action, Save):
            assert action.slot not in snapshots, "no snapshot is overwritten"
            snapshots[action.slot] = here
            far |= {action.slot} if action.far else set()
            seen.far_saves += action.far
            seen.peaks.add((len(ring), len(snapshots) - len(far)))
            seen.slots_used.add(action.slot)
        elif isinstance(action, Load) and action.slot is None:
            assert ring, "a state is taken from a tape that is there"
            here = ring[-1][0] + 1
        elif isinstance(action, Load):
            assert action.slot in snapshots, "nothing is loaded that was not saved"
            here = snapshots[action.slot]
            seen.far_loads += action.slot in far
        elif isinstance(action, Drop):
            assert action.slot in snapshots, "nothing is dropped that was not saved"
            del snapshots[action.slot]
            far.discard(action.slot)
        else:
            assert isinstance(action, Update)
            seen.updates += 1
            version += stored_weights
        seen.most_snapshots = max(seen.most_snapshots, len(snapshots))
        seen.most_far = max(seen.most_far, len(far))
        seen.most_versions = max(seen.most_versions, len({made for _, made in ring} - {version}))
    assert ring == [], "no tape is left over"
    assert snapshots == {}, "no snapshot is left over"
    assert seen.losses == Counter(range(len(length))), "every loss counts once"
    return seen
