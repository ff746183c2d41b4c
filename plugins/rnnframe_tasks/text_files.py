"""A text as numbers of its characters, of which only those are read that are asked for.

A text is gone through once: is it UTF-8, which characters has it, how many, and where in the bytes does every so
many-th one begin. After that any piece of it is found by a look into that index, so that a text may be far larger than
memory.
"""

import codecs
import hashlib
import itertools
from array import array
from typing import Self

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.byte_sources import ByteSource, blocks
from rnnframe_tasks.text import Vocabulary

SPACING = 1024  # characters between two entries of an index, at first
ENTRIES = 1 << 18  # entries of an index, 8 bytes each; with more of them every other one is dropped
PIECE = 1 << 20  # characters that are encoded at once
BOM = codecs.BOM_UTF8


class Index:
    """Where in the bytes of a text every `spacing`-th character begins, for texts of any length."""

    def __init__(self, spacing: int = SPACING, entries: int = ENTRIES) -> None:
        self.characters = 0
        self._spacing = spacing
        self._entries = entries
        self._offsets = array("q")

    def add(self, offset: int, block: bytes) -> None:
        """Take the bytes that come next; a character may begin in one block and end in the next."""
        first = -self.characters % self._spacing
        if block.isascii():
            found = np.arange(first, len(block), self._spacing)
            self.characters += len(block)
        else:
            begins = beginnings(block)
            found = begins[first :: self._spacing]
            self.characters += len(begins)
        self._offsets.frombytes((found + offset).astype(np.int64).tobytes())
        while len(self._offsets) > self._entries:
            self._offsets = self._offsets[::2]
            self._spacing *= 2

    def around(self, start: int, stop: int, end: int) -> tuple[int, int, int]:
        """Return bytes [from, to) that hold the characters [start, stop), and how many others come first.

        end: where the text ends in the bytes.
        """
        entry, after = start // self._spacing, -(-stop // self._spacing)
        last = self._offsets[after] if after < len(self._offsets) else end
        return self._offsets[entry], last, start - entry * self._spacing


def beginnings(raw: bytes) -> Array:
    """Return where characters begin in UTF-8."""
    return np.flatnonzero((np.frombuffer(raw, np.uint8) & 0xC0) != 0x80)


def code_points(text: str) -> Array:
    """Return the code points of a text."""
    if text.isascii():
        return np.frombuffer(text.encode(), np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _flags(vocabulary: Vocabulary) -> Array:
    """Return for every code point whether it is in a vocabulary."""
    flags = np.zeros(0x110000, bool)
    flags[[ord(character) for character in vocabulary.characters]] = True
    return flags


def _table(vocabulary: Vocabulary) -> Array:
    """Return the number of each code point up to the first that follows all known ones, which stands for the rest."""
    codes = np.array([ord(character) for character in vocabulary.characters])
    unknown = -1 if vocabulary.undrawn is None else vocabulary.undrawn
    table = np.full(codes.max() + 2, unknown, np.int32)
    table[codes] = np.arange(len(codes))
    return table


class Strange:
    """Counts the characters of a text that a vocabulary does not have, and keeps the first one and its line."""

    def __init__(self, known: Vocabulary | None) -> None:
        self.count, self.first, self.line = 0, "", 0
        self._known = known
        self._allowed = None if known is None else _flags(known)
        self._characters, self._lines = 0, 1

    def add(self, text: str, codes: Array) -> None:
        """Take the characters that come next; raises `DataError` for a strange one where there is no symbol for it."""
        if self._known is None or self._allowed is None:
            return
        wrong = np.flatnonzero(~self._allowed[codes])
        if len(wrong) and not self.count:
            place = int(wrong[0])
            self.first, self.line = text[place], self._lines + text.count("\n", 0, place)
            if not self._known.unknown:
                raise self._known.refusal(self.first, self._characters + place, self.line)
        self.count += len(wrong)
        self._characters += len(text)
        self._lines += text.count("\n")

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know."""
        if not self.count:
            return ()
        many = "1 character was" if self.count == 1 else f"{self.count:,} characters were"
        return (f"{many} not in the training text and read as unknown, the first {self.first!r} in line {self.line:,}",)


@attrs.frozen(kw_only=True, eq=False)
class TextFile:
    """A text that was gone through: its characters as numbers, by slices. `digest` (SHA-256) tells texts apart.

    `strange` says which characters are not in the vocabulary.
    """

    source: ByteSource
    index: Index
    vocabulary: Vocabulary
    digest: str
    table: Array
    """Code point -> number; the last one is that of every code point behind it."""
    strange: "Strange"

    @classmethod
    def survey(cls, source: ByteSource, known: Vocabulary | None = None) -> Self:
        """Go through a text, whose vocabulary is `known` or its own, with a symbol for unknown characters.

        Raises `DataError` for what is no UTF-8 text, and for characters that are not in `known` and have no symbol.
        """
        name = source.name
        if not source.size:
            raise DataError(f"data file {name!r} is empty; give a text file")
        first = len(BOM) if source.read(0, min(len(BOM), source.size)) == BOM else 0
        decoder, digest, index = codecs.getincrementaldecoder("utf-8")(), hashlib.sha256(), Index()
        seen, strange = np.zeros(0x110000, bool), Strange(known)
        for offset, block in itertools.chain(blocks(source, first), [(source.size, b"")]):
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                place = offset + len(block) - len(error.object) + error.start
                wrong = error.object[error.start]
                raise DataError(
                    f"data file {name!r} is no UTF-8 text: byte 0x{wrong:02x} at offset {place}; convert it"
                ) from None
            if 0 in block:
                place = offset + block.index(0)
                raise DataError(f"data file {name!r} is binary: NUL at offset {place}; give a text file")
            codes = code_points(text)
            strange.add(text, codes)
            seen[codes] = True
            digest.update(block)
            index.add(offset, block)
        vocabulary = known or Vocabulary("".join(map(chr, np.flatnonzero(seen))) or "\ufeff", unknown=True)
        return cls(
            source=source,
            index=index,
            vocabulary=vocabulary,
            digest=digest.hexdigest(),
            table=_table(vocabulary),
            strange=strange,
        )

    def __len__(self) -> int:
        return self.index.characters

    def __getitem__(self, part: slice) -> Array:
        """Return the numbers of neighbouring characters, int32 [n]; raises `DataError` where the file has changed."""
        start, stop, _ = part.indices(len(self))
        if start >= stop:
            return np.zeros(0, np.int32)
        begin, end, before = self.index.around(start, stop, self.source.size)
        raw = self.source.read(begin, end - begin)
        if raw.isascii():
            codes = np.frombuffer(raw, np.uint8)[before : before + stop - start]
        else:
            begins = beginnings(raw)
            last = before + stop - start
            codes = code_points(raw[begins[before] : begins[last] if last < len(begins) else len(raw)].decode())
        return self.table.take(codes, mode="clip")

    def held(self) -> Array:
        """Return all numbers, in the smallest type that they fit into."""
        kind = np.min_scalar_type(len(self.vocabulary) - 1)
        numbers = np.empty(len(self), kind)
        for start in range(0, len(self), PIECE):
            numbers[start : start + PIECE] = self[start : start + PIECE]
        return numbers
