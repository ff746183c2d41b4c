"""The task `characters`: a language model of the characters (or bytes) of a text."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe import Batch, DataError, Dataset, Examples, Predicted, Setting, Task
from rnnframe.arrays import Array
from rnnframe.sizes import ByteSize
from rnnframe_tasks.byte_sources import HeldBytes, open_bytes
from rnnframe_tasks.text import EMBEDDED, Vocabulary, embedded_text
from rnnframe_tasks.text_files import TextFile

PIECE = 1024
"""Steps that are judged or predicted at once."""


class Numbers(Protocol):
    """Numbers in a row: an array, or a text file that is read as its slices are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Array: ...


@attrs.frozen(eq=False)
class Streams:
    """Numbers [start, stop) cut into `batch` equal pieces that are read side by side; the targets are one number on.

    Up to `batch` numbers at the end are left over. Nothing is read but what is asked for.
    """

    numbers: Numbers
    batch: int
    start: int = 0
    stop: int | None = None

    def __len__(self) -> int:
        stop = len(self.numbers) if self.stop is None else self.stop
        return (stop - self.start - 1) // self.batch

    def cut(self, start: int, stop: int) -> tuple[Array, Array]:
        """Return x and y [steps, batch] of the steps [start, stop), or as far as they go."""
        length = len(self)
        first, last = self.start + start, self.start + min(stop, length) + 1
        rows = [self.numbers[first + n * length : last + n * length] for n in range(self.batch)]
        numbers = np.stack(rows, axis=1).astype(np.int32, copy=False)
        return numbers[:-1], numbers[1:]


@attrs.frozen(kw_only=True, eq=False)
class TextExamples(Examples):
    """Streams to be judged on, piece by piece."""

    streams: Streams
    vocabulary: Vocabulary

    def batches(self) -> Iterator[Batch]:
        """Yield pieces of some steps; the state is carried from one to the next."""
        for start in range(0, len(self.streams), PIECE):
            x, y = self.streams.cut(start, start + PIECE)
            yield Batch(x, y, carry=start > 0)

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """Each character, what it cost in nats, and the one that was the likeliest in its place."""
        characters = np.array(list(self.vocabulary.characters))
        for each in predicted:
            y, outputs = each.batch.y.T.ravel(), np.swapaxes(each.outputs, 0, 1)
            p = outputs.reshape(len(y), -1)
            with np.errstate(divide="ignore"):
                nats = -np.log(p[np.arange(len(y)), y])
            yield {"character": characters[y], "nats": nats, "likeliest": characters[p.argmax(axis=1)]}


@attrs.frozen(kw_only=True, eq=False)
class Text(Dataset):
    """A text in two parts, the last of which is held out."""

    train: Streams
    steps: int

    @property
    def batches(self) -> int:
        """As many as cover the streams."""
        return -(-len(self.train) // self.steps)

    def shape(self, number: int) -> tuple[int, int]:
        """Return `steps` and the streams; the last batch is shorter."""
        return min(self.steps, len(self.train) - number * self.steps), self.train.batch

    def batch(self, epoch: int, number: int) -> Batch:
        """Return the next steps of every stream; the first batch of an epoch begins with a state of zeros."""
        start = number * self.steps
        x, y = self.train.cut(start, start + self.steps)
        return Batch(x, y, carry=number > 0)


@attrs.frozen(kw_only=True)
class Characters(Task):
    """A language model: the next character of a text, from those before it.

    The text is read as `--batch` streams side by side, `--steps` characters at a time; the state is carried from batch
    to batch, the gradient is not. Without `--data`: the Python documentation topics of this interpreter.
    """

    hold: ByteSize = attrs.field(
        default=ByteSize(64 << 20),
        validator=ge(ByteSize(0)),
        metadata={"help": "bytes of a text that is held in memory; a larger one is read as its characters are due"},
    )

    name: ClassVar[str] = "characters"
    unit: ClassVar[str] = "nats/char"
    counted: ClassVar[str] = "characters"
    learns: ClassVar[type[Any]] = Vocabulary

    def open(self, setting: Setting) -> Text:
        """Go through a text, split and cut it; raises `DataError` where it is too short for the batch in both parts."""
        text = self._survey(setting.data)
        name, length = text.source.name, len(text)
        valid = int(length * setting.held_out)
        needed = 2 * setting.batch + 1
        if length - valid < needed or valid < 3:
            raise DataError(
                f"{name} has {length} characters, {valid} of them held out; batch={setting.batch} needs at least "
                f"{needed} to train on and 3 held out: lower --batch or give a longer text"
            )
        size = len(text.vocabulary)
        if size < 2:
            only = text.vocabulary.characters
            raise DataError(f"{name} has only the character {only!r}; a model needs at least two to choose from")
        numbers, split = self._numbers(text), length - valid
        held_out = Streams(numbers, min(setting.batch, max(1, valid // 64)), split)
        return Text(
            inputs=size,
            looked_up=True,
            head=f"softmax:classes={size}",
            learnt=text.vocabulary,
            train=Streams(numbers, setting.batch, 0, split),
            valid=TextExamples(name=f"the held-out part of {name}", streams=held_out, vocabulary=text.vocabulary),
            digest=text.digest,
            steps=setting.steps,
        )

    def examples(self, data: str, learnt: Vocabulary, batch: int) -> TextExamples:
        """Return a text as one stream."""
        text = self._survey(data, learnt)
        if len(text) < 2:
            raise DataError(f"data file {data!r} has {len(text)} character; at least 2 are needed")
        return TextExamples(name=text.source.name, streams=Streams(self._numbers(text), 1), vocabulary=learnt)

    def _survey(self, path: str | None, known: Vocabulary | None = None) -> TextFile:
        source = HeldBytes(embedded_text().encode(), EMBEDDED) if path is None else open_bytes(path)
        return TextFile.survey(source, known)

    def _numbers(self, text: TextFile) -> Numbers:
        return text.held() if text.source.size <= self.hold else text

    def alphabet(self, learnt: Vocabulary) -> Vocabulary:
        """Return the characters that the model knows."""
        return learnt
