"""Text as a stream of character numbers: what a character-level language model reads and writes."""

import hashlib
from pathlib import Path

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.errors import DataError

EMBEDDED = "the Python documentation topics (pydoc_data.topics)"


@attrs.frozen
class Vocabulary:
    """The characters that a model knows; their number is their place in `characters`."""

    characters: str

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """Return the distinct characters of a text in the order of their code points."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Array:
        """Return the numbers of the characters; raises `DataError` for one that the model does not know."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        known = np.frombuffer(self.characters.encode("utf-32-le", "surrogatepass"), np.uint32)
        numbers = np.searchsorted(known, codes)
        wrong = np.flatnonzero(known[np.minimum(numbers, len(known) - 1)] != codes)
        if len(wrong):
            place = int(wrong[0])
            raise DataError(
                f"character {text[place]!r} at place {place} was not in the training text; "
                f"the model knows {len(self)} characters: leave it out or train on text that has it"
            )
        return numbers.astype(np.int32)

    def decode(self, numbers: Array) -> str:
        """Return the text of character numbers."""
        return "".join(self.characters[n] for n in numbers)


@attrs.frozen
class Streams:
    """A text cut into `batch` equal pieces that are read side by side: x and y [T, batch], y one character on."""

    x: Array
    y: Array

    @classmethod
    def cut(cls, numbers: Array, batch: int) -> "Streams":
        """Cut a text; up to `batch` characters at its end are left over."""
        length = (len(numbers) - 1) // batch
        x = numbers[: length * batch].reshape(batch, length)
        y = numbers[1 : length * batch + 1].reshape(batch, length)
        return cls(np.ascontiguousarray(x.T), np.ascontiguousarray(y.T))

    def __len__(self) -> int:
        return len(self.x)


@attrs.frozen
class Corpus:
    """A text in two parts, the last of which is held out for validation; `digest` (SHA-256) tells texts apart."""

    vocabulary: Vocabulary
    train: Streams
    valid: Streams
    digest: str

    @classmethod
    def of(cls, text: str, name: str, batch: int, held_out: float) -> "Corpus":
        """Split and cut a text; raises `DataError` where it is too short for `batch` streams in both parts."""
        valid = int(len(text) * held_out)
        valid_batch = min(batch, max(1, valid // 64))
        needed = 2 * batch + 1
        if len(text) - valid < needed or valid < 3:
            raise DataError(
                f"{name} has {len(text)} characters, {valid} of them held out; batch={batch} needs at least {needed} "
                "to train on and 3 held out: lower --batch or give a longer text"
            )
        vocabulary = Vocabulary.of(text)
        if len(vocabulary) < 2:
            raise DataError(f"{name} has only the character {text[0]!r}; a model needs at least two to choose from")
        numbers = vocabulary.encode(text)
        split = len(numbers) - valid
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return cls(vocabulary, Streams.cut(numbers[:split], batch), Streams.cut(numbers[split:], valid_batch), digest)


def read_text(path: str | None) -> tuple[str, str]:
    """Return a UTF-8 text file and its name; the embedded text for None. Raises `DataError`."""
    if path is None:
        from pydoc_data.topics import topics

        return "\n".join(topics[name] for name in sorted(topics)), EMBEDDED
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read data file {path!r}: {error.strerror or error}") from None
    if not raw:
        raise DataError(f"data file {path!r} is empty; give a text file")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"data file {path!r} is no UTF-8 text: byte 0x{raw[error.start]:02x} at offset {error.start}; convert it"
        ) from None
    if "\0" in text:
        raise DataError(f"data file {path!r} is binary: NUL at offset {raw.index(0)}; give a text file")
    return text, path
