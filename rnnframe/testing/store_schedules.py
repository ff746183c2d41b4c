"""Checks of a store's schedule, without a network: valid, the same every time, and what the store says it is."""

import importlib.util
import itertools
import random
from collections.abc import Iterator, Sequence

from rnnframe.contracts.costs import Costs
from rnnframe.contracts.store import StateStore
from rnnframe.errors import OptionError, ScheduleError
from rnnframe.schedules.actions import Action, Forget, Forward, Reverse, Update
from rnnframe.schedules.grid import stretched
from rnnframe.testing.store_suite import Followed, StoreSuite, follow
from rnnframe.testing.suite import fail, skip

STEPS = (*range(1, 26), 31, 32, 33, 64, 100, 101)
CHUNKS = (1, 2, 3, 7, 50)
COSTS = (Costs(snapshot=1, tape=1), Costs(snapshot=5, tape=70), Costs(snapshot=100, tape=7))
RANDOM_CASES = 100


class StoreScheduleChecks(StoreSuite):
    """The schedule of a store over every kind of grid."""

    def test_its_grid_covers_the_sequence_in_chunks_no_longer_than_asked(self) -> None:
        """Chunks follow one another from step 0 to the last, and none is empty."""
        self.only_with_a_schedule()
        store: StateStore = self.subject
        for steps, chunk in itertools.product(STEPS, CHUNKS):
            grid = store.grid(steps, min(chunk, steps))
            end = 0
            for start, stop in (grid.span(n) for n in range(grid.chunks or 0)):
                if start != end or not 1 <= stop - start <= chunk:
                    fail(f"over {steps} steps in chunks of {chunk} the grid has a chunk [{start}, {stop}) after {end}")
                end = stop
            if end != steps:
                fail(f"the grid ends at step {end} of {steps}")

    def test_its_schedule_is_valid_over_a_grid_of_cases(self) -> None:
        """Every action can be executed, every loss counts once, and nothing is left over."""
        self.only_with_a_schedule()
        if not list(self._all()):
            fail("the store refuses every case; give it options that leave room")

    def test_its_schedule_is_valid_for_random_cases(self) -> None:
        """The same for steps, chunks and bytes drawn at random: by hypothesis where it is installed."""
        self.only_with_a_schedule()
        if importlib.util.find_spec("hypothesis"):
            self._search()
            return
        draw = random.Random(0)
        for _ in range(RANDOM_CASES):
            costs = Costs(snapshot=draw.randint(1, 1000), tape=draw.randint(1, 1000))
            self._expect_valid(draw.randint(1, 300), draw.randint(1, 40), costs)

    def test_its_schedule_is_valid_where_chunks_grow_longer(self) -> None:
        """As they do where samples end, if `takes_any_grid` says that time may be cut so."""
        self.only_with_a_schedule()
        store: StateStore = self.subject
        cases = [case for case in itertools.product(STEPS, CHUNKS, COSTS) if store.takes_any_grid(case[0])]
        if not cases:
            skip("the store cuts time itself")
        for steps, chunk, costs in cases:
            grid = stretched(chunk, [[max(1, steps // 5), max(1, steps // 2), steps]])
            where = f"{_where(steps, chunk, costs)} that grow: {grid.pattern}"
            try:
                found = follow(store.schedule(grid, costs), grid, stored_weights=store.stores_weights)
            except OptionError:  # the store refuses so few bytes
                continue
            except ScheduleError as error:
                fail(f"{where}: {error}")
            if found.windows() != [(0, 0, steps)]:
                fail(f"{where}: [0, {steps}) is not reversed in one go, but in the windows {found.windows()}")

    def test_its_schedule_is_the_same_every_time(self) -> None:
        """Two shards that follow it meet at the same actions."""
        self.only_with_a_schedule()
        for (where, first), (_, second) in zip(self._all(), self._all(), strict=True):
            if first.actions != second.actions:
                pairs = zip(first.actions, second.actions, strict=False)
                place, (one, other) = next((n, pair) for n, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
                fail(f"{where}: action {place} is {one} the first time and {other} the second time")

    def test_it_reverses_what_it_says_it_reverses(self) -> None:
        """An exact store reverses the sequence once, in one go from the end; a truncated one in windows that differ."""
        self.only_with_a_schedule()
        store: StateStore = self.subject
        whole = True
        for where, found in self._all():
            steps = found.grid.steps
            windows = found.windows()
            whole = whole and windows == [(0, 0, steps)]
            if store.exact and windows != [(0, 0, steps)]:
                fail(
                    f"{where}: an exact store reverses [0, {steps}) in one go; this one has the windows {windows}. "
                    "Let each Reverse begin where the last one ended, or write exact = False"
                )
            reversed_steps = sum(stop - first for first, _, stop in windows)
            if reversed_steps != sum(self._steps(found, action) for action in found.actions):
                fail(f"{where}: steps are reversed twice in one window: {windows}")
            if store.exact and any(isinstance(action, Update) for action in found.actions):
                fail(f"{where}: an exact store reverses a sequence with one version of the weights; drop Update()")
        if whole and not store.exact:
            fail("the store reverses every sequence in one go, which is exact; leave exact = False out")

    def test_its_windows_are_those_that_are_declared(self) -> None:
        """A truncated store reaches back as far as `windows(steps)` says, and counts the losses that it says."""
        self.only_with_a_schedule()
        if self.subject.exact:
            skip("the store is exact: its one window is the sequence")
        if self.windows(1) is None:
            skip("no windows(steps) are given: write them to have the truncation itself checked")
        for where, found in self._all():
            wanted = self.windows(found.grid.steps or 0)
            if found.windows() != wanted:
                fail(f"{where}: the windows (from, losses from, stop) are {found.windows()}, declared {wanted}")

    def test_it_keeps_no_tape_in_vain(self) -> None:
        """Whenever a chunk is run, every tape that waits is reversed later on: others are memory wasted."""
        self.only_with_a_schedule()
        for where, found in self._all():
            for n, action in enumerate(found.actions):
                if isinstance(action, Forward) and action.stop != action.start:
                    later = [each for each in found.actions[n:] if isinstance(each, Reverse)]
                    for chunk in _waiting(found.actions[:n]):
                        if not any(each.start <= chunk < each.stop for each in later):
                            fail(
                                f"{where}: the tape of chunk {chunk} waits at {action} and is not reversed any more; "
                                "release it with Forget, or with a Reverse that does not keep it"
                            )

    def _steps(self, found: Followed, action: object) -> int:
        return found.grid.steps_between(action.start, action.stop) if isinstance(action, Reverse) else 0

    def _all(self) -> Iterator[tuple[str, Followed]]:
        for steps, chunk, costs in itertools.product(STEPS, CHUNKS, COSTS):
            found = self._expect_valid(steps, chunk, costs)
            if found is not None:
                yield _where(steps, chunk, costs), found

    def _expect_valid(self, steps: int, chunk: int, costs: Costs) -> Followed | None:
        try:
            return self.followed(steps, chunk, costs)
        except ScheduleError as error:
            fail(f"{_where(steps, chunk, costs)}: {error}")

    def _search(self) -> None:
        from hypothesis import given, settings
        from hypothesis import strategies as st

        sizes = st.integers(1, 1000)

        @settings(max_examples=RANDOM_CASES, deadline=None, database=None, derandomize=True)
        @given(st.integers(1, 300), st.integers(1, 40), sizes, sizes)
        def search(steps: int, chunk: int, snapshot: int, tape: int) -> None:
            self._expect_valid(steps, chunk, Costs(snapshot=snapshot, tape=tape))

        search()


def _waiting(actions: Sequence[Action]) -> list[int]:
    """Return the chunks whose tapes are in the ring after these actions."""
    tapes: list[int] = []
    for action in actions:
        match action:
            case Forward(start, stop, keep=True) if stop is not None:
                tapes += range(start, stop)
            case Reverse(stop, start, keep=False):
                del tapes[len(tapes) - (stop - start) :]
            case Forget(before):
                tapes = [chunk for chunk in tapes if chunk >= before]
    return tapes


def _where(steps: int, chunk: int, costs: Costs) -> str:
    return f"{steps} steps in chunks of {chunk} (snapshot {costs.snapshot}, tape {costs.tape} bytes)"
