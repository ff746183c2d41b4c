"""A series with its forecasts: what is learnt of it, what is to be forecast, and the naive forecast beside it.

Rows count from 0, in the order of time. A forecast made at row t is for the rows t + 1 to t + horizon.
"""

from collections.abc import Iterator

import attrs
import numpy as np

from rnnframe.plugin import Array, Batch, Choose, Dataset
from rnnframe_tasks.scales import Scale
from rnnframe_tasks.sequences import Shuffled
from rnnframe_tasks.times import Step


@attrs.frozen(kw_only=True, eq=False)
class Series:
    """Values [rows, channels], of which the first `targets` columns are forecast; differenced at `lag` (0: not).

    log: whether the targets are learnt as their natural logarithms; `read` holds the values that are learnt.
    present: which values [rows, channels] were in the file. The others were filled in: they are read, never targets.
    future: what is known of the future [rows or more, channels], such as the weekday; no columns where nothing is.
    name: which of several series it is. lines: the number of each row in the file, from 1. times: of each row.
    """

    values: Array
    targets: int
    lag: int
    log: bool = False
    present: Array = attrs.field(
        default=attrs.Factory(lambda self: np.ones(self.values.shape, np.bool_), takes_self=True)
    )
    future: Array = attrs.field(default=attrs.Factory(lambda self: np.zeros((len(self.values), 0)), takes_self=True))
    name: str = ""
    lines: Array = attrs.field(default=attrs.Factory(lambda self: np.arange(1, len(self.values) + 1), takes_self=True))
    times: Array | None = None
    step: Step | None = None
    read: Array = attrs.field(init=False)

    @read.default
    def _as_learnt(self) -> Array:
        if not self.log:
            return self.values
        return np.concatenate([np.log(self.values[:, : self.targets]), self.values[:, self.targets :]], axis=1)

    def written(self, read: Array) -> Array:
        """Return values that are learnt as values of the data."""
        return np.exp(read) if self.log else read

    def learnt_units(self, values: Array) -> Array:
        """Return values of targets as they are learnt."""
        return np.log(values) if self.log else values

    def __len__(self) -> int:
        return len(self.values)

    def differenced(self) -> Array:
        """Return the values that are learnt, [rows, channels]; the first `lag` rows are zeros that nobody reads."""
        if not self.lag:
            return self.read
        made = np.zeros_like(self.read)
        np.subtract(self.read[self.lag :], self.read[: -self.lag], out=made[self.lag :])
        return made

    def usable(self, horizon: int) -> int:
        """Return how many rows can be read: where something is known of the future, those with all of it."""
        return min(len(self), len(self.future) - horizon) if self.future.shape[1] else len(self)

    def naive(self, rows: Array, horizon: int, season: int) -> Array:
        """Return the forecasts made at some rows of the series that repeat the season before."""
        return self.values[_before(rows, horizon, season), : self.targets]

    def restored(self, forecast: Array, rows: Array) -> Array:
        """Return differences forecast at some rows of the series as values: each is added to the one `lag` before.

        They are values that are learnt; `written` makes those of the data of them.
        """
        if not self.lag:
            return forecast
        restored = np.empty_like(forecast)
        for k in range(forecast.shape[1]):
            before = k - self.lag
            base = restored[:, before] if before >= 0 else self.read[rows + k + 1 - self.lag, : self.targets]
            restored[:, k] = base + forecast[:, k]
        return restored


def ahead(values: Array, rows: Array, horizon: int) -> Array:
    """Return the values that follow each of some rows, [rows, horizon, columns]."""
    following: Array = values[rows[:, None] + np.arange(1, horizon + 1)]
    return following


def _before(rows: Array, horizon: int, lag: int) -> Array:
    """Return the last row known at some rows that lies whole lags before each row ahead, [rows, horizon]."""
    steps = np.arange(1, horizon + 1)
    before: Array = rows[:, None] + steps - lag * -(-steps // lag)
    return before


@attrs.frozen(kw_only=True, eq=False)
class Learning:
    """What a network reads and is to forecast at each row of a series, in units of the scale.

    read: [rows, channels]. wanted: [rows, targets], NaN where nobody knows it. base: [rows, targets], or None; what is
    to be forecast is then the change from the last row known that lies whole lags before, whose quantiles can be
    restored. future: [rows or more, channels].
    """

    read: Array
    wanted: Array
    base: Array | None
    future: Array
    lag: int
    horizon: int

    @classmethod
    def of(cls, series: Series, scale: Scale, horizon: int, *, direct: bool) -> "Learning":
        """Return what is learnt of a series; with direct the change over whole lags, else from one lag before."""
        channels, width = series.values.shape[1], slice(series.targets)
        own, future = scale.part(slice(channels)), scale.part(slice(channels, None))
        read, base = own.apply(series.differenced()), None
        wanted = read[:, width]
        if direct and series.lag:
            drift = own.mean[width] * np.arange(len(series))[:, None] / series.lag
            wanted = base = (series.read[:, width] - drift) / own.spread[width]
        if not series.present[:, width].all():
            wanted = np.where(series.present[:, width], wanted, np.array(np.nan, wanted.dtype))
        return cls(
            read=read, wanted=wanted, base=base, future=future.apply(series.future), lag=series.lag, horizon=horizon
        )

    @classmethod
    def joined(cls, parts: "list[Learning]") -> "Learning":
        """Return the rows of several series, one after the other."""
        if len(parts) == 1:
            return parts[0]
        bases = [part.base for part in parts if part.base is not None]
        return attrs.evolve(
            parts[0],
            read=np.concatenate([part.read for part in parts]),
            wanted=np.concatenate([part.wanted for part in parts]),
            base=np.concatenate(bases) if bases else None,
            future=np.concatenate([part.future for part in parts]),
        )

    def until(self, row: int) -> "Learning":
        """Return the rows before one."""
        base = None if self.base is None else self.base[:row]
        return attrs.evolve(self, read=self.read[:row], wanted=self.wanted[:row], base=base, future=self.future[:row])

    def x(self, rows: Array) -> Array:
        """Return what is read at some rows, [*rows, channels]."""
        read = self.read[rows]
        if not self.future.shape[1]:
            return read
        known = ahead(self.future, rows.ravel(), self.horizon).reshape(*rows.shape, -1)
        return np.concatenate([read, known], axis=-1)

    def y(self, rows: Array) -> Array:
        """Return what is to be forecast at some rows, [*rows, horizon * targets]."""
        wanted = ahead(self.wanted, rows.ravel(), self.horizon)
        if self.base is not None:
            wanted = np.asarray(wanted - self.base[_before(rows.ravel(), self.horizon, self.lag)], np.float32)
        return wanted.reshape(*rows.shape, -1)


def restored_quantiles(series: Series, scale: Scale, outputs: Array, rows: Array) -> Array:
    """Return the quantiles that a network gives at some rows, [rows, horizon, targets, levels], as `Series.read` is."""
    horizon = outputs.shape[1]
    mean, spread = scale.mean[: series.targets, None], scale.spread[: series.targets, None]
    if not series.lag:
        return outputs * spread + mean
    lags = -(-np.arange(1, horizon + 1) // series.lag)
    base = series.read[_before(rows, horizon, series.lag), : series.targets]
    restored: Array = outputs * spread + mean * lags[:, None, None] + base[..., None]
    return restored


@attrs.frozen(kw_only=True, eq=False)
class Windows(Dataset):
    """Windows of series, all of whose targets lie before the held-out part; shifted and shuffled in each epoch.

    learning: the training parts, one after the other. steps: of a window. stride: between the starts of windows.
    starts, lasts: where each window starts at first and at last. lengths: of each window.
    """

    learning: Learning
    steps: int
    stride: int
    starts: Array
    lasts: Array
    lengths: Array
    order: Shuffled

    @property
    def batches(self) -> int:
        """As many as hold all windows."""
        return self.order.batches

    def shape(self, number: int) -> tuple[int, int]:
        """Return the steps of a window, and the windows of the batch."""
        return self.steps, self.order.size(number)

    def batch(self, epoch: int, number: int) -> Batch:
        """Return windows, `stride` steps apart from a start that is drawn for each epoch."""
        return self._windows(epoch, self.order.chosen(epoch, number))

    def columns(self, epoch: int, number: int, choose: Choose) -> Batch:
        """Return some of these windows; the rows of the others are not read."""
        chosen = self.order.chosen(epoch, number)
        return self._windows(epoch, chosen[choose(len(chosen), self._lengths(chosen))])

    def _lengths(self, chosen: Array) -> Array | None:
        """Return the lengths of some windows; None where all have all steps."""
        lengths = self.lengths[chosen]
        return lengths if (lengths < self.steps).any() else None

    def _windows(self, epoch: int, chosen: Array) -> Batch:
        shift = int(np.random.default_rng([self.order.seed, epoch, 1]).integers(0, self.stride))
        starts = np.minimum(self.starts[chosen] + shift, self.lasts[chosen])
        last = self.lengths[chosen] - 1
        rows = starts + np.minimum(
            np.arange(self.steps)[:, None], last
        )  # behind a shorter one its last row, never read
        return Batch(self.learning.x(rows), self.learning.y(rows), self._lengths(chosen))


def windows_of(firsts: list[int], ends: list[int], steps: int, stride: int) -> tuple[Array, Array, Array]:
    """Return starts, last starts and lengths of the windows of series whose rows [first, end) have all targets."""
    parts = list(_spans(firsts, ends, steps, stride))
    starts, lasts, lengths = (np.concatenate(each) for each in zip(*parts, strict=True))
    return starts, lasts, lengths


def _spans(firsts: list[int], ends: list[int], steps: int, stride: int) -> Iterator[tuple[Array, Array, Array]]:
    for first, end in zip(firsts, ends, strict=True):
        length = min(steps, end - first)
        last = end - length
        starts = first + stride * np.arange((last - first) // stride + 1)
        yield starts, np.full(len(starts), last), np.full(len(starts), length)
