"""Text as a stream of character numbers: what a character-level language model reads and writes."""

import attrs
import numpy as np
from attrs.validators import and_, instance_of, min_len

from rnnframe.plugin import Array, DataError

EMBEDDED = "the Python documentation topics (pydoc_data.topics)"


@attrs.frozen
class Vocabulary:
    """The characters that a model knows; their number is their place in `characters`."""

    characters: str = attrs.field(validator=and_(instance_of(str), min_len(1)))

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """Return the distinct characters of a text in the order of their code points."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    @property
    def start(self) -> str:
        """A new line, or the first character that there is."""
        return "\n" if "\n" in self.characters else self.characters[0]

    def encode(self, text: str) -> Array:
        """Return the numbers of the characters; raises `DataError` for one that the model does not know."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        known = np.frombuffer(self.characters.encode("utf-32-le", "surrogatepass"), np.uint32)
        numbers = np.searchsorted(known, codes)
        wrong = np.flatnonzero(known[np.minimum(numbers, len(known) - 1)] != codes)
        if len(wrong):
            raise self.unknown(text[int(wrong[0])], int(wrong[0]))
        return numbers.astype(np.int32)

    def unknown(self, character: str, place: int) -> DataError:
        """Return the error for a character that the model does not know."""
        return DataError(
            f"character {character!r} at place {place} was not in the training text; "
            f"the model knows {len(self)} characters: leave it out or train on text that has it"
        )

    def decode(self, numbers: Array) -> str:
        """Return the text of character numbers."""
        return "".join(self.characters[n] for n in numbers)


def embedded_text() -> str:
    """Return the text that every Python interpreter carries."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))
