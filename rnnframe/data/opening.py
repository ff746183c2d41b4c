"""Where blocks of inputs and targets come from: arrays that are sliced, or streams that are read once.

A source hands out blocks of whole steps for a range of batch columns. It checks what it hands out, block by block, so
that nothing is read before its time. Slices of one range must hold the same numbers each time they are taken; a stream
holds what it has read until its readers release it.
"""

from rnnframe.data.batch import Batch
from rnnframe.data.format import DataFormat
from rnnframe.data.sequence import Sequence
from rnnframe.data.source import Source
from rnnframe.data.stream import Stream, is_stream
from rnnframe.errors import DataError


def open_source(batch: Batch, data_format: DataFormat) -> Source:
    """Return a source over arrays, or over iterators of blocks."""
    if is_stream(batch.x):
        return _stream(batch, data_format)
    if batch.y is None:
        raise DataError("y is missing; give the targets as an array, or pairs (x, y) in an iterator as x")
    return Sequence(batch, data_format)


def open_inputs(batch: Batch, data_format: DataFormat) -> Source:
    """Return a source of inputs alone; a stream is one of pairs (x, y) here too."""
    if is_stream(batch.x):
        return _stream(batch, data_format)
    return Sequence(batch, data_format)


def _stream(batch: Batch, data_format: DataFormat) -> Stream:
    for name in ("lengths", "resets", "weights"):
        if getattr(batch, name) is not None:
            raise DataError(f"{name} go with arrays; a stream yields them itself: (x, y, resets, weights)")
    return Stream(batch.x, batch.y, data_format)
