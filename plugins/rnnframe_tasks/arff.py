"""The `.arff` files of the UEA and UCR archives, read by scipy: a sample a line, its class the last attribute.

A channel is a row of a relational attribute, or all numbers before the class are one. Samples that end early are
filled up with ?.
"""

import io
from typing import Any

import numpy as np

from rnnframe.plugin import Array, DataError, PluginError
from rnnframe_tasks.files import read_lines
from rnnframe_tasks.labelled import Labelled, joined, known_targets, without_padding


def read_arff(path: str) -> Labelled:
    """Return the samples of an `.arff` file; raises `DataError`, and `PluginError` where scipy is not installed."""
    text = "\n".join(read_lines(path))
    try:
        from scipy.io import arff
    except ImportError:
        raise PluginError(".arff files are read with scipy: pip install 'rnnframe[arff]'") from None
    try:
        table, about = arff.loadarff(io.StringIO(text))
    except Exception as error:  # scipy raises many kinds for files that are none
        told = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(f"data file {path!r} is damaged or no .arff file: {told}") from None
    where, names, kinds = f"data file {path!r}", about.names(), about.types()
    if len(names) < 2 or not table.size:
        raise DataError(f"{where} has {table.size} samples of {len(names)} attributes; expected values and a class")
    strange = [name for name, kind in zip(names[:-1], kinds, strict=False) if kind not in ("numeric", "relational")]
    if strange or (len(names) > 2 and "relational" in kinds):
        told = f"attribute {strange[0]!r}" if strange else f"{len(names)} attributes, one of them relational"
        raise DataError(f"{where} has {told}; expected numbers, or one relational attribute, and the class behind them")
    sequences = joined([without_padding(_sample(row, kinds[0])) for row in table], where)
    last = table[names[-1]]
    if kinds[-1] == "numeric":
        return Labelled(sequences, None if np.isnan(last).all() else last.astype(np.float64), "numbers")
    known = known_targets([label.decode() for label in last], where)
    return Labelled(sequences, None if known is None else np.array(known), "classes", tuple(about[names[-1]][1]))


def _sample(row: Any, kind: str) -> Array:
    """Return a sample [steps, channels]."""
    channels = row[0].tolist() if kind == "relational" else [list(row)[:-1]]
    return np.array(channels, np.float64).T
