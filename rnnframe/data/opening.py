"""Choosing the source for a batch: `Sequence` and `BothWays` over arrays, `Stream` over iterators of blocks."""

from rnnframe.data.batch import Batch
from rnnframe.data.both_ways import BothWays
from rnnframe.data.foreign import is_stream
from rnnframe.data.format import DataFormat
from rnnframe.data.sequence import Sequence
from rnnframe.data.source import Source
from rnnframe.data.stream import Stream
from rnnframe.errors import DataError


def open_source(batch: Batch, data_format: DataFormat) -> Source:
    """Return a source of inputs and targets.

    Parameters
    ----------
    batch : Batch
        Arrays, or iterators of blocks as x.
    data_format : DataFormat
        What the network reads.

    Returns
    -------
    Source
        A `Sequence`, `BothWays` or a `Stream`.

    Raises
    ------
    DataError
        For what does not fit, and for missing targets.
    """
    if is_stream(batch.x):
        return _stream(batch, data_format)
    if batch.y is None:
        raise DataError("y is missing; give the targets as an array, or pairs (x, y) in an iterator as x")
    return _of_arrays(batch, data_format)


def open_inputs(batch: Batch, data_format: DataFormat) -> Source:
    """Return a source of inputs alone; a stream is one of pairs (x, y) here too."""
    if is_stream(batch.x):
        return _stream(batch, data_format)
    return _of_arrays(batch, data_format)


def _of_arrays(batch: Batch, data_format: DataFormat) -> Source:
    return (BothWays if data_format.both_ways else Sequence)(batch, data_format)


def _stream(batch: Batch, data_format: DataFormat) -> Stream:
    if data_format.both_ways:
        raise DataError("x is a stream; a network of two directions begins at both ends of x, so give x as an array")
    for name in ("lengths", "resets", "weights"):
        if getattr(batch, name) is not None:
            raise DataError(f"{name} go with arrays; a stream yields them itself: (x, y, resets, weights)")
    return Stream(batch.x, batch.y, data_format)
