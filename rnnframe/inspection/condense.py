"""A timeline with at most about two thousand marks, however long the schedule; it counts the marks that were merged.

A picture has about a thousand columns of pixels. Runs that begin in one column and are shorter than it become one mark
that covers them. Bars at nearly the same position that touch or overlap become one. What is held is given by its
maximum in a column. A schedule is read as a stream, so the memory for this does not grow with its length.
"""

from collections.abc import Iterator

import attrs

from rnnframe.engine.plan import Plan
from rnnframe.inspection.timeline import REVERSE_WORK, Bar, Held, Run, Timeline, follow, work_of

MARKS = 1000  # of runs, and as many of bars: no more are drawn
COLUMNS = 300
ROWS = 256
NOTHING = Held(0.0, 0, 0, 0, 0)


def condensed_timeline(plan: Plan, reverse_work: float = REVERSE_WORK, marks: int = MARKS) -> Timeline:
    """Return the timeline of a plan with at most `marks` runs, `marks` bars and `marks` changes of what is held.

    A timeline with fewer marks is returned unchanged. Values of `marks` below 3 · `COLUMNS` limit bars and changes
    only.
    """
    steps, work = plan.grid.steps or 0, work_of(plan, reverse_work)
    width = work / COLUMNS
    runs, bars, held = _Runs(marks, width), _Bars(marks, width, steps), _Peaks(marks, width, plan)
    for event in follow(plan, reverse_work):
        match event:
            case Run():
                runs.add(event)
            case Bar():
                bars.add(event)
            case Held():
                held.add(event)
    return Timeline(
        steps=steps,
        work=work,
        runs=tuple(runs.result()),
        bars=tuple(bars.result()),
        held=tuple(held.result()),
        all_runs=runs.count,
        all_bars=bars.count,
    )


@attrs.define
class _Runs:
    """Runs one by one as long as there are few; then one per kind and column, beside those longer than a column."""

    marks: int
    width: float
    count: int = 0
    whole: list[Run] = attrs.field(factory=list)
    merged: dict[tuple[str, int], Run] = attrs.field(factory=dict)

    def add(self, run: Run) -> None:
        self.count += 1
        if self.count <= self.marks:
            self.whole.append(run)
            return
        if self.count == self.marks + 1:
            few, self.whole = self.whole, []
            for earlier in few:
                self._merge(earlier)
        self._merge(run)

    def _merge(self, run: Run) -> None:
        if run.ended - run.begun > self.width:
            self.whole.append(run)
            return
        key = run.kind, int(run.begun / self.width)
        other = self.merged.get(key, run)
        low, high = min(run.first, run.last, other.first, other.last), max(run.first, run.last, other.first, other.last)
        ends = (high, low) if run.kind == "reverse" else (low, high)
        self.merged[key] = Run(run.kind, min(run.begun, other.begun), max(run.ended, other.ended), *ends)

    def result(self) -> list[Run]:
        return sorted([*self.whole, *self.merged.values()], key=lambda run: run.begun)


@attrs.define
class _Bars:
    """Bars one by one as long as there are few; then, in rows of nearby steps, those that touch in time as one."""

    marks: int
    width: float
    steps: int
    count: int = 0
    whole: list[Bar] = attrs.field(factory=list)
    rows: dict[tuple[str, int], list[Bar]] = attrs.field(factory=dict)

    def add(self, bar: Bar) -> None:
        self.count += 1
        if self.count <= self.marks:
            self.whole.append(bar)
            return
        for one in (*self.whole, bar):
            _join(self.rows, one, self._row(one, ROWS), self.width)
        self.whole.clear()

    def _row(self, bar: Bar, rows: int) -> int:
        return bar.start * rows // (self.steps + 1)

    def result(self) -> list[Bar]:
        rows, width, number = self.rows, self.width, ROWS
        while sum(map(len, rows.values())) > self.marks:  # fewer rows, and at last wider columns
            number, width = (number // 2, width) if number > 32 else (number, 2 * width)
            if width > self.width * 2 * COLUMNS:  # everything in a row touches by now
                number //= 2
            coarser: dict[tuple[str, int], list[Bar]] = {}
            for bar in sorted((bar for bars in rows.values() for bar in bars), key=lambda bar: bar.released):
                _join(coarser, bar, self._row(bar, number), width)
            rows = coarser
        return self.whole + [bar for bars in rows.values() for bar in bars]


def _join(rows: dict[tuple[str, int], list[Bar]], bar: Bar, row: int, gap: float) -> None:
    """Add a bar to its row, and join it with the bars before it that end less than `gap` before it begins.

    Bars arrive in the order in which they are released, so those of a row stay apart and in order.
    """
    bars = rows.setdefault((bar.kind, row), [])
    while bars and bars[-1].released + gap >= bar.made:
        other = bars.pop()
        extent = min(bar.start, other.start), max(bar.stop, other.stop)
        bar = Bar(bar.kind, min(bar.made, other.made), bar.released, *extent)
    bars.append(bar)


@attrs.define
class _Peaks:
    """Changes of what is held, one by one as long as there are few; then, for every column, the most bytes in it."""

    marks: int
    width: float
    plan: Plan
    count: int = 0
    whole: list[Held] = attrs.field(factory=list)
    peaks: list[Held] = attrs.field(factory=list)
    column: int = 0
    most: Held = NOTHING
    last: Held = NOTHING

    def add(self, held: Held) -> None:
        self.count += 1
        if self.count <= self.marks:
            self.whole.append(held)
            return
        for one in (*self.whole, held):
            self._raise(one)
        self.whole.clear()

    def _raise(self, held: Held) -> None:
        column = int(held.at / self.width)
        if column > self.column:
            self._close(column)
        if bytes_held(self.plan, held) > bytes_held(self.plan, self.most):
            self.most = held
        self.last = held

    def _close(self, column: int) -> None:
        """End the column, and the columns after it without changes; the next one begins with what is held then."""
        self.peaks.append(attrs.evolve(self.most, at=self.column * self.width))
        if column > self.column + 1:
            self.peaks.append(attrs.evolve(self.last, at=(self.column + 1) * self.width))
        self.column, self.most = column, self.last

    def result(self) -> Iterator[Held]:
        if self.count > self.marks:
            self._close(self.column + 1)
            yield from self.peaks
            yield attrs.evolve(self.last, at=max(self.last.at, self.peaks[-1].at))
        yield from self.whole


def bytes_held(plan: Plan, held: Held) -> int:
    """Return the bytes of all that is held at a moment, including the working arrays."""
    costs = plan.costs
    snapshots = held.snapshots * costs.snapshot + held.far * costs.far
    return costs.fixed + held.tapes * costs.tape + snapshots + held.versions * costs.weights
