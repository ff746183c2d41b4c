"""The `.tsv` and `.txt` files of the UCR archive: a sample a line, its class first.

Samples that end early are filled up with NaN, as the archive's notes say (Dau et al. 2018, "The UCR time series
archive").
"""

import numpy as np

from rnnframe.plugin import DataError
from rnnframe_tasks.files import read_lines
from rnnframe_tasks.labelled import Labelled, joined, known_targets, read_values, without_padding


def read_ucr(path: str) -> Labelled:
    """Return the samples of one channel; raises `DataError` with the line where it is not as it should be."""
    samples, labels, width = [], [], 0
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        label, *texts = line.split("\t") if "\t" in line else line.split()
        where = f"data file {path!r}, line {number}"
        if not label.strip():
            raise DataError(f"{where}: the class at the beginning is empty; write ? for none")
        if not texts:
            raise DataError(f"{where}: {label.strip()[:40]!r} alone; expected a class and the values behind it")
        width = width or len(texts)
        if len(texts) != width:
            raise DataError(f"{where}: {len(texts)} values; the lines before have {width}, filled up with NaN")
        labels.append(_name(label.strip()))
        samples.append(without_padding(read_values([text.strip() for text in texts], where)[:, None]))
    sequences = joined(samples, f"data file {path!r}")
    known = known_targets(labels, f"data file {path!r}")
    return Labelled(sequences, None if known is None else np.array(known))


def _name(label: str) -> str:
    """Return a class as the other formats write it: 1 for 1.0000000e+00."""
    try:
        number = float(label)
    except ValueError:
        return label
    return str(int(number)) if number.is_integer() else label
