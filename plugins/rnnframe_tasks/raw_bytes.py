"""The task `bytes`: a language model of the bytes of any file."""

import hashlib
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe.plugin import Array, DataError, NothingLearnt, Setting, Task
from rnnframe_tasks.byte_sources import ByteSource, blocks, open_bytes
from rnnframe_tasks.standard_input import STDIN, ByteCharacters, StandardInput, open_input
from rnnframe_tasks.streams import TEXT_TAKES, Streams, Text, TextExamples, parted

VALUES = 256


@attrs.frozen(eq=False)
class Numbers:
    """The bytes of a file as numbers, read as slices of them are asked for."""

    source: ByteSource

    def __len__(self) -> int:
        return self.source.size

    def __getitem__(self, part: slice) -> Array:
        start, stop, _ = part.indices(len(self))
        return np.frombuffer(self.source.read(start, max(0, stop - start)), np.uint8)


@attrs.frozen
class Utf8:
    """Bytes as text: what is no UTF-8 is written as the sign for that."""

    start: str = "\n"

    def encode(self, text: str) -> Array:
        """Return the bytes of a text."""
        return np.frombuffer(text.encode("utf-8", "surrogateescape"), np.uint8).astype(np.int32)

    def decode(self, numbers: Array) -> str:
        """Return the text of bytes."""
        return bytes(numbers.astype(np.uint8)).decode("utf-8", "replace")


@attrs.frozen(kw_only=True)
class Bytes(Task):
    """A language model of bytes: the next byte of any file, from those before it.

    Read as `characters` are, but with 256 rows of U whatever the file holds, and never held in memory. `--data -`:
    standard input, read once; its beginning is held out.
    """

    epoch: int = attrs.field(
        default=1000, validator=ge(1), metadata={"help": "batches of an epoch where the data is standard input"}
    )

    name: ClassVar[str] = "bytes"
    unit: ClassVar[str] = "nats/byte"
    counted: ClassVar[str] = "bytes"
    predicts_inputs: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = TEXT_TAKES

    def open(self, setting: Setting) -> Text | StandardInput:
        """Go through a file; raises `DataError` where it is too short for the batch in both parts."""
        if setting.data is None:
            raise DataError("task 'bytes' has no data of its own; give a file with --data FILE")
        if setting.data == STDIN:
            return open_input(ByteCharacters(0), setting, self.epoch, VALUES, NothingLearnt(), _examples)
        source = open_bytes(setting.data)
        split, held_out = parted(source.size, setting, source.name, "bytes")
        digest = hashlib.sha256()
        for _, block in blocks(source, 0):
            digest.update(block)
        numbers, valid = Numbers(source), None
        if held_out:
            valid = _examples(f"the held-out part of {source.name}", Streams(numbers, held_out, split))
        return Text(
            inputs=VALUES,
            looked_up=True,
            head=f"softmax:classes={VALUES}",
            learnt=NothingLearnt(),
            train=Streams(numbers, setting.batch, 0, split),
            valid=valid,
            digest=digest.hexdigest(),
            steps=setting.steps,
        )

    def examples(self, data: str, learnt: NothingLearnt, batch: int) -> TextExamples:
        """Return a file as one stream."""
        source = open_bytes(data)
        if source.size < 2:
            raise DataError(f"data file {data!r} has {source.size} bytes; at least 2 are needed")
        return _examples(data, Streams(Numbers(source), 1))

    def alphabet(self, learnt: NothingLearnt) -> Utf8:
        """Return how bytes are read as text."""
        return Utf8()


def _examples(name: str, streams: Streams) -> TextExamples:
    return TextExamples(name=name, streams=streams, symbols=np.arange(VALUES), sizes=np.ones(VALUES, int), what="byte")
