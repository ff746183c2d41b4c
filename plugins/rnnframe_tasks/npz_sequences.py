"""NPZ files of sequences: which axis of an array is the samples, the steps and the channels."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.files import read_npz
from rnnframe_tasks.labelled import Labelled
from rnnframe_tasks.sequences import Sequences

AXES = ("nt", "ntc", "nct", "tc")
"""What the axes of an array are: n samples, t steps, c channels; without n, samples laid end to end."""


def read_npz_sequences(path: str, axes: str | None = None, target: str | None = None) -> Labelled:
    """Return the sequences `x` of a NPZ file and its targets, `y` or the array `target`; raises `DataError`."""
    arrays, target = read_npz(path), target or "y"
    if "x" not in arrays:
        raise DataError(f"data file {path!r} has the arrays {', '.join(arrays) or 'none'}; expected x, y and lengths")
    sequences = sequences_of(arrays["x"], arrays.get("lengths"), f"data file {path!r}, x", axes)
    targets = arrays.get(target)
    remarks = tuple(unread(arrays, ("x", "lengths", target)))
    if targets is None:
        return Labelled(sequences, None, remarks=remarks)
    if targets.shape != (len(sequences),) or targets.dtype.kind not in "fiuUb":
        raise DataError(
            f"data file {path!r}: {target} is {targets.dtype} {list(targets.shape)}; "
            f"expected numbers or texts, one for each of {len(sequences)} samples"
        )
    if targets.dtype.kind == "f":
        return Labelled(sequences, targets.astype(np.float64), "numbers", remarks=remarks)
    return Labelled(sequences, targets.astype(str), "classes" if targets.dtype.kind == "U" else "either", (), remarks)


def unread(arrays: Mapping[str, Array], read: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each array that was not read."""
    for name in [name for name in arrays if name not in read]:
        yield f"its array {name} {list(arrays[name].shape)} was not read"


def sequences_of(values: Array, lengths: Array | None, where: str, axes: str | None = None) -> Sequences:
    """Return the sequences of an array; raises `DataError`.

    Parameters
    ----------
    values : Array
        Numbers, as `axes` says. More than one axis of channels is made one, in the order of memory.
    lengths : Array or None
        Steps of each sample; None where all are as long as the array.
    where : str
        Names the array in messages.
    axes : str or None
        One of `AXES`; None: ntc from three axes on, tc where the lengths add up to the rows, else nt.
    """
    if values.dtype.kind not in "fiub":
        raise DataError(f"{where} holds {values.dtype}; expected numbers")
    if lengths is not None:
        lengths = _checked(lengths, where)
    axes = axes or _axes(values, lengths, where)
    least = {"nt": 2, "tc": 1}.get(axes, 3)
    if values.ndim < least or (axes == "nt" and values.ndim > 2):
        raise DataError(f"{where} has shape {list(values.shape)}, which is not axes={axes}; {_expected()}")
    if 0 in values.shape:
        raise DataError(f"{where} has shape {list(values.shape)}; expected at least one step, sample and channel")
    made = _end_to_end(values, lengths, where) if axes == "tc" else _side_by_side(values, lengths, where, axes)
    made.check_finite(where)
    return made


def _axes(values: Array, lengths: Array | None, where: str) -> str:
    joined = lengths is not None and lengths.sum() == len(values)
    if values.ndim > 2:
        return "ntc"
    if values.ndim == 2 and joined and lengths is not None and len(lengths) == len(values):
        raise DataError(
            f"{where} has shape {list(values.shape)} and lengths of 1, which is read in two ways: "
            "say axes=nt or axes=tc in the task"
        )
    if joined:
        return "tc"
    if values.ndim == 2:
        return "nt"
    raise DataError(f"{where} has shape {list(values.shape)}; {_expected()}")


def _expected() -> str:
    return (
        "expected [samples, steps, channels], [samples, channels, steps] with axes=nct in the task, [samples, steps], "
        "or [steps, channels] laid end to end with the lengths beside it"
    )


def _checked(lengths: Array, where: str) -> Array:
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not len(lengths) or lengths.min() < 1:
        raise DataError(
            f"{where}: lengths are {lengths.dtype} {list(lengths.shape)}; expected integers [samples] above 0"
        )
    return lengths.astype(np.int64)


def _end_to_end(values: Array, lengths: Array | None, where: str) -> Sequences:
    if lengths is None or lengths.sum() != len(values):
        told = "there are no lengths" if lengths is None else f"the lengths add up to {lengths.sum()}"
        raise DataError(f"{where} has {len(values)} steps of samples laid end to end, but {told}")
    return Sequences(values.reshape(len(values), -1), lengths)


def _side_by_side(values: Array, lengths: Array | None, where: str, axes: str) -> Sequences:
    if axes == "nct":
        values = np.moveaxis(values, -1, 1)
    samples, steps = values.shape[:2]
    block = values.reshape(samples, steps, -1)
    if lengths is None:
        lengths = np.full(samples, steps, np.int64)
    if len(lengths) != samples or lengths.max() > steps:
        told = f"{len(lengths)} lengths of up to {lengths.max()}"
        raise DataError(f"{where} has {samples} samples of up to {steps} steps, but {told}")
    return Sequences(block[np.arange(steps) < lengths[:, None]], lengths)
