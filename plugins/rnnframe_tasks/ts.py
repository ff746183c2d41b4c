"""The `.ts` format of the UEA and UCR archives: a sample a line, channels between colons, the class at the end."""

import re

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.files import is_number, read_lines
from rnnframe_tasks.sequences import Sequences


@attrs.frozen(eq=False)
class Labelled:
    """Sequences and their labels as texts [N], None where there are none."""

    sequences: Sequences
    labels: Array | None


def read_ts(path: str) -> Labelled:
    """Return the samples of a `.ts` file; raises `DataError` with the line where it is not as it should be."""
    lines = [(number, line.strip()) for number, line in enumerate(read_lines(path), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    header = {line.split()[0].lower(): line.split()[1:] for _, line in lines if line.startswith("@")}
    if "@data" not in header:
        raise DataError(f"data file {path!r} has no line @data; it is no .ts file of the UEA archive")
    if header.get("@timestamps", ["false"])[:1] == ["true"]:
        raise DataError(f"data file {path!r} has time stamps, which are not read; resample it to equal steps")
    labelled = header.get("@classlabel", ["false"])[:1] == ["true"]
    first = next(number for number, line in lines if line.lower().startswith("@data"))
    samples, labels = [], []
    for number, line in lines:
        if number <= first:
            continue
        parts = line.split(":")
        if labelled:
            labels.append(parts.pop().strip())
        samples.append(_sample(parts, f"data file {path!r}, line {number}"))
        if samples[-1].shape[1] != samples[0].shape[1]:
            raise DataError(
                f"data file {path!r}, line {number}: {samples[-1].shape[1]} channels; "
                f"the samples before have {samples[0].shape[1]}"
            )
    if not samples:
        raise DataError(f"data file {path!r} has no samples after @data")
    lengths = np.array([len(sample) for sample in samples])
    return Labelled(Sequences(np.concatenate(samples), lengths), np.array(labels) if labelled else None)


def _sample(parts: list[str], where: str) -> Array:
    channels = []
    for number, part in enumerate(parts, 1):
        texts = [text for text in re.split(r"\s*,\s*", part.strip()) if text]
        try:
            channels.append([float(text) for text in texts])
        except ValueError:
            wrong = next(text for text in texts if not is_number(text))
            hint = "a missing value; fill it in" if wrong == "?" else "no number"
            raise DataError(f"{where}, channel {number}: {wrong[:40]!r} is {hint}") from None
    lengths = sorted({len(channel) for channel in channels})
    if len(lengths) != 1 or lengths[0] == 0:
        told = " and ".join(map(str, lengths)) if lengths else "no"
        raise DataError(f"{where}: the channels have {told} steps; expected one number above 0")
    sample = np.array(channels, np.float64).T
    if not np.isfinite(sample).all():
        raise DataError(f"{where}: NaN or infinite values; replace them or leave the sample out")
    return sample
