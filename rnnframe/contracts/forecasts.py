"""Forecasts of series beside what came: what `rnnframe backtest` judges and `rnnframe predict --plot` draws."""

import attrs
import numpy as np
from attrs.validators import ge, optional

from rnnframe.arrays import Array


@attrs.frozen(kw_only=True)
class Origins:
    """At which rows of a series forecasts are made.

    Parameters
    ----------
    stride : int
        Rows from one origin to the next, counted back from the last one.
    most : int or None
        Take so many of the last origins of each series; None for all.
    everywhere : bool
        Also those that cannot be judged: rows that were trained on, and those near the end, whose forecasts look
        beyond the data.
    """

    stride: int = attrs.field(default=1, validator=ge(1))
    most: int | None = attrs.field(default=None, validator=optional(ge(1)))
    everywhere: bool = False

    def among(self, first: int, stop: int) -> Array:
        """Return which of the rows from `first` to before `stop` are origins, in order."""
        back = np.arange(stop - 1, first - 1, -self.stride)
        origins: Array = back[: self.most][::-1]
        return origins


@attrs.frozen(kw_only=True, eq=False)
class Forecasts:
    """What is forecast at some origins of one series, for the steps 1 to `horizon` after each.

    Parameters
    ----------
    series : str
        Its name; empty where there is one series.
    columns : tuple of str
        What is forecast.
    season : int
        Rows of the season that the naive forecast repeats.
    rows : Array
        The number of each origin's row in the file, from 1, [origins].
    times, ahead : Array or None
        The time of each origin, [origins], and of the steps after it, [origins, horizon]: dates or numbers; None where
        the file has no time.
    forecast, naive : Array
        The forecast and the seasonal-naive one, [origins, horizon, columns]; the latter is NaN where no season has gone
        by.
    truth : Array
        What came, [origins, horizon, columns]; NaN where the file has no value.
    scale : Array
        The mean absolute error of the seasonal-naive forecast over the training part, [columns]; 0 where it is not
        known or says nothing.
    unseen : Array
        Whether the model was trained on none of the steps after the origin, [origins].
    levels : tuple of float
        Quantiles that are forecast, in rising order; empty for none.
    quantiles : Array or None
        Of each value, [origins, horizon, columns, levels].
    """

    series: str
    columns: tuple[str, ...]
    season: int
    rows: Array
    times: Array | None
    ahead: Array | None
    forecast: Array
    naive: Array
    truth: Array
    scale: Array
    unseen: Array
    levels: tuple[float, ...] = ()
    quantiles: Array | None = None


def written_times(times: Array) -> Array:
    """Return times as texts: dates without a clock where all are at midnight, whole numbers without a point."""
    if times.dtype.kind != "M":
        return np.array([f"{time:.15g}" for time in times])
    days = times.astype("datetime64[D]")
    if (times == days).all():
        return days.astype(str)
    seconds = times.astype("datetime64[s]")
    return (seconds if (times == seconds).all() else times).astype(str)
