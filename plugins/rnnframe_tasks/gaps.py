"""Missing values inside sequences: refused, or filled from what is known."""

from typing import Literal

import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.sequences import Sequences

Missing = Literal["refuse", "last", "mean"]


def check_gaps(sequences: Sequences, missing: Missing, where: str) -> None:
    """Raise `DataError` for a value that is missing where that is refused."""
    gaps = np.isnan(sequences.values)
    if missing != "refuse" or not gaps.any():
        return
    row, channel = (int(n) for n in np.argwhere(gaps)[0])
    sample = sequences.sample_of(row)
    step = row - int(sequences.starts()[sample])
    raise DataError(
        f"{where}: sample {sample + 1} has no value at step {step + 1} of channel {channel + 1} (all from 1); "
        "fill it in, or add missing=last or missing=mean to the task"
    )


def filled(sequences: Sequences, missing: Missing, mean: Array) -> Sequences:
    """Return sequences without gaps: the last known value of the channel, its mean where there is none or always.

    mean: of each channel, [channels].
    """
    values = sequences.values
    gaps = np.isnan(values)
    if not gaps.any():
        return sequences
    if missing == "last":
        rows = np.where(gaps, -1, np.arange(len(values))[:, None])
        last = np.maximum.accumulate(rows, axis=0)
        own = last >= np.repeat(sequences.starts(), sequences.lengths)[:, None]  # and not of the sample before
        values = np.where(own, np.take_along_axis(values, np.maximum(last, 0), axis=0), np.nan)
        gaps = np.isnan(values)
    return Sequences(np.where(gaps, mean, values), sequences.lengths)
