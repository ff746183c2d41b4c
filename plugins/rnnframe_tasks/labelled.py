"""What every reader of sequences returns: samples, and the class or the number that belongs to each."""

from typing import Literal

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.sequences import Sequences

Kind = Literal["classes", "numbers", "either"]
"""What targets are; "either" where a format does not say so."""


@attrs.frozen(eq=False)
class Labelled:
    """Sequences and their targets.

    Parameters
    ----------
    sequences : Sequences
        The samples; NaN where a value is missing.
    targets : Array or None
        Texts or float64 numbers, [N]; None where there are none.
    kind : str
        What the targets are.
    classes : tuple of str
        The classes that a header names; empty where none does.
    remarks : tuple of str
        What was not read of the file, a sentence each.
    """

    sequences: Sequences
    targets: Array | None
    kind: Kind = "either"
    classes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


UNKNOWN = "?"
"""How a target is written that is not known."""


def known_targets(texts: list[str], where: str) -> list[str] | None:
    """Return targets, None where all are unknown; raises `DataError` where some are."""
    unknown = [text == UNKNOWN for text in texts]
    if any(unknown) and not all(unknown):
        raise DataError(
            f"{where}: sample {unknown.index(True) + 1} has no target ('?'), and others have one; "
            "leave it out, or leave out all targets"
        )
    return None if all(unknown) else texts


def number_of(text: str) -> float:
    """Return the number in a text, NaN for "?" and "NaN"; raises `ValueError` for any other text."""
    if "_" in text:
        raise ValueError(text)
    return float("nan") if text == UNKNOWN else float(text)


def read_values(texts: list[str], where: str) -> Array:
    """Return the numbers of a line, NaN where a value is missing; raises `DataError` for what is no number."""
    try:
        return np.array([number_of(text) for text in texts], np.float64)
    except ValueError:
        place, wrong = next((n, text) for n, text in enumerate(texts, 1) if not _is_value(text))
    if not wrong.strip():
        raise DataError(f"{where}: value {place} is empty; write ? for a missing value")
    raise DataError(f"{where}: value {place} is {wrong[:40]!r}; expected a number, or ? for a missing value")


def _is_value(text: str) -> bool:
    try:
        number_of(text)
    except ValueError:
        return False
    return True


def without_padding(sample: Array) -> Array:
    """Return a sample [steps, channels] without the steps at its end in which every channel is missing."""
    known = np.flatnonzero(~np.isnan(sample).all(axis=1))
    return sample[: known[-1] + 1] if len(known) else sample[:0]


def joined(samples: list[Array], where: str) -> Sequences:
    """Return samples [steps, channels] laid end to end; raises `DataError` where there are none, or one is empty."""
    if not samples:
        raise DataError(f"{where} has no samples")
    for number, sample in enumerate(samples, 1):
        if not len(sample):
            raise DataError(f"{where}: sample {number} has no values; leave it out")
        if sample.shape[1] != samples[0].shape[1]:
            raise DataError(
                f"{where}: sample {number} has {sample.shape[1]} channels; the first has {samples[0].shape[1]}"
            )
    made = Sequences(np.concatenate(samples), np.array([len(sample) for sample in samples]))
    made.check_finite(where)
    return made
