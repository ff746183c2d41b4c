"""The task `characters`: a language model of the characters (or bytes) of a text."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe import Batch, DataError, Dataset, Examples, Predicted, Setting, Task
from rnnframe.arrays import Array
from rnnframe_tasks.text import Vocabulary, read_text

PIECE = 1024
"""Steps that are judged or predicted at once."""


@attrs.frozen(eq=False)
class Streams:
    """Numbers cut into `batch` equal pieces that are read side by side; the targets are one number on.

    Up to `batch` numbers at the end are left over. Nothing is copied but what is asked for.
    """

    numbers: Array
    batch: int

    def __len__(self) -> int:
        return (len(self.numbers) - 1) // self.batch

    def cut(self, start: int, stop: int) -> tuple[Array, Array]:
        """Return x and y [steps, batch] of the steps [start, stop), or as far as they go."""
        length = len(self)
        x, y = (
            self.numbers[first : first + length * self.batch].reshape(self.batch, length)[:, start:stop].T
            for first in (0, 1)
        )
        return np.ascontiguousarray(x), np.ascontiguousarray(y)


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

    name: ClassVar[str] = "characters"
    unit: ClassVar[str] = "nats/char"
    counted: ClassVar[str] = "characters"
    learns: ClassVar[type[Any]] = Vocabulary

    def open(self, setting: Setting) -> Text:
        """Read, split and cut a text; raises `DataError` where it is too short for the batch in both parts."""
        text, name = read_text(setting.data)
        valid = int(len(text) * setting.held_out)
        needed = 2 * setting.batch + 1
        if len(text) - valid < needed or valid < 3:
            raise DataError(
                f"{name} has {len(text)} characters, {valid} of them held out; batch={setting.batch} needs at least "
                f"{needed} to train on and 3 held out: lower --batch or give a longer text"
            )
        vocabulary = Vocabulary.of(text)
        if len(vocabulary) < 2:
            raise DataError(f"{name} has only the character {text[0]!r}; a model needs at least two to choose from")
        numbers = vocabulary.encode(text)
        split = len(numbers) - valid
        held_out = Streams(numbers[split:], min(setting.batch, max(1, valid // 64)))
        size = len(vocabulary)
        return Text(
            inputs=size,
            looked_up=True,
            head=f"softmax:classes={size}",
            learnt=vocabulary,
            train=Streams(numbers[:split], setting.batch),
            valid=TextExamples(name=f"the held-out part of {name}", streams=held_out, vocabulary=vocabulary),
            digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
            steps=setting.steps,
        )

    def examples(self, data: str, learnt: Vocabulary, batch: int) -> TextExamples:
        """Return a text as one stream."""
        text, name = read_text(data)
        if len(text) < 2:
            raise DataError(f"data file {data!r} has {len(text)} character; at least 2 are needed")
        return TextExamples(name=name, streams=Streams(learnt.encode(text), 1), vocabulary=learnt)

    def alphabet(self, learnt: Vocabulary) -> Vocabulary:
        """Return the characters that the model knows."""
        return learnt
