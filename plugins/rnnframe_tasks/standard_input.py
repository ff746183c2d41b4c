"""Text from standard input, which is read once, as far as the training has got, and may never end."""

import codecs
import hashlib
import os
from collections.abc import Callable
from typing import Protocol

import attrs
import numpy as np

from rnnframe.plugin import Array, Batch, DataError, Dataset, Setting
from rnnframe_tasks.streams import Streams, TextExamples
from rnnframe_tasks.text import Vocabulary

STDIN = "-"
NAME = "standard input"
READ = 1 << 16  # bytes that are asked for at once


Judged = Callable[[str, Streams], TextExamples]
"""Makes examples of a name and streams."""


class Characters(Protocol):
    """Numbers of characters, one after the other. `what` they are, for people."""

    what: str

    def read(self, count: int) -> Array:
        """Return the next ones, as many as asked for, fewer only at the end."""
        ...


class ByteCharacters:
    """Each byte of a file descriptor is a character."""

    what = "bytes"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, count: int) -> Array:
        """Return the next bytes."""
        return np.frombuffer(_bytes(self._descriptor, count), np.uint8)


class TextCharacters:
    """The characters of UTF-8 from a file descriptor, by their numbers in a vocabulary."""

    what = "characters"

    def __init__(self, descriptor: int, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._read, self._lines = 0, 1

    def read(self, count: int) -> Array:
        """Return the next characters; raises `DataError` for what is no UTF-8 and for a character that is not known."""
        parts: list[Array] = []
        while count:
            raw = _bytes(self._descriptor, count)  # at most so many characters
            try:
                text = self._decoder.decode(raw, final=not raw)
            except UnicodeDecodeError as error:
                wrong = error.object[error.start]
                raise DataError(
                    f"{NAME} is no UTF-8 text: byte 0x{wrong:02x} behind character {self._read}; "
                    "use --task bytes for what is no text"
                ) from None
            if not raw:
                break
            try:
                parts.append(self.vocabulary.encode(text, self._read, self._lines))
            except DataError as error:
                raise DataError(f"{NAME}: {error}") from None
            self._read += len(text)
            self._lines += text.count("\n")
            count -= len(text)
        return np.concatenate(parts) if parts else np.zeros(0, np.int32)


def _bytes(descriptor: int, count: int) -> bytes:
    """Return so many bytes, fewer only at the end; no more are taken, and none wait in a buffer."""
    parts: list[bytes] = []
    try:
        while count and (part := os.read(descriptor, min(count, READ))):
            parts.append(part)
            count -= len(part)
    except OSError as error:
        raise DataError(f"cannot read {NAME}: {error.strerror or error}") from None
    return b"".join(parts)


@attrs.define(kw_only=True, eq=False)
class Pages:
    """Characters cut into pages of `steps` for each of `batch` streams, read in order and each once."""

    characters: Characters
    steps: int
    batch: int
    _number: int = attrs.field(default=-1, init=False)
    _page: Array = attrs.field(factory=lambda: np.zeros(0, np.int32), init=False)
    _streams: Streams | None = attrs.field(default=None, init=False)

    def page(self, number: int) -> Streams:
        """Return a page; those before it are read and dropped. Raises `DataError` where the input ends before."""
        while self._number < number:
            self._turn()
        if self._streams is None or self._number > number:
            raise DataError(f"{NAME} is read once: epoch {number + 1} of it is gone")
        return self._streams

    def _turn(self) -> None:
        """Read the next page. Its last character is a target alone, and the first input of the page after it."""
        size, first = self.steps * self.batch, self._page[-1:]
        self._page = np.concatenate([first, self.characters.read(size + 1 - len(first))])
        self._number += 1
        if len(self._page) <= size:
            raise DataError(
                f"{NAME} ended in epoch {self._number + 1}, which takes {size + 1} {self.characters.what}, "
                f"after {len(self._page)}: lower --epochs, or the batches of an epoch with epoch=N"
            )
        self._streams = Streams(self._page, self.batch)


@attrs.frozen(kw_only=True, eq=False)
class StandardInput(Dataset):
    """Pages of a text that is read once: an epoch is a page, cut into streams as any text is."""

    pages: Pages
    steps: int

    @property
    def batches(self) -> int:
        """Batches of a page."""
        return self.pages.steps // self.steps

    def shape(self, number: int) -> tuple[int, int]:
        """Return the steps and the streams, the same for all batches."""
        return self.steps, self.pages.batch

    def batch(self, epoch: int, number: int) -> Batch:
        """Return the next steps of every stream. One stream goes on from page to page, and so does its state."""
        x, y = self.pages.page(epoch).cut(number * self.steps, (number + 1) * self.steps)
        return Batch(x, y, carry=number > 0 or (epoch > 0 and self.pages.batch == 1))


def open_input(
    characters: Characters, setting: Setting, epoch: int, size: int, learnt: object, examples: Judged
) -> StandardInput:
    """Read the beginning of standard input, which is held out unless nothing is; the rest is read as it is due.

    epoch: batches of one. size: how many different characters there are. Raises `DataError` where the input ends.
    """
    pages = Pages(characters=characters, steps=epoch * setting.steps, batch=setting.batch)
    valid = None
    if setting.held_out:
        beginning = _beginning(characters, max(3, int(pages.steps * pages.batch * setting.held_out)))
        kept = Streams(beginning, min(setting.batch, max(1, len(beginning) // 64)))
        valid = examples(f"the beginning of {NAME}", kept)
    else:
        beginning = pages.page(0).numbers[:]
    return StandardInput(
        inputs=size,
        looked_up=True,
        head=f"softmax:classes={size}",
        learnt=learnt,
        pages=pages,
        valid=valid,
        digest=hashlib.sha256(np.ascontiguousarray(beginning, np.int32).tobytes()).hexdigest(),
        steps=setting.steps,
    )


def _beginning(characters: Characters, count: int) -> Array:
    """Return the first characters, which are held out; raises `DataError` where there are fewer."""
    beginning = characters.read(count)
    if len(beginning) < count:
        raise DataError(
            f"{NAME} ended after {len(beginning)} {characters.what}; {count} are held out at its beginning: "
            "lower --held-out, or the batches of an epoch with epoch=N"
        )
    return beginning
