"""Text as a stream of character numbers: what a character-level language model reads and writes."""

import attrs
import numpy as np
from attrs.validators import and_, instance_of, min_len

from rnnframe.plugin import Array, DataError

EMBEDDED = "the Python documentation topics (pydoc_data.topics)"
UNKNOWN = "\ufffd"
"""How the symbol for characters that are not known is written."""


@attrs.frozen
class Vocabulary:
    """The characters that a model knows; their number is their place in `characters`.

    With `unknown` there is one number more, for every other character.
    """

    characters: str = attrs.field(validator=and_(instance_of(str), min_len(1)))
    unknown: bool = attrs.field(default=False, validator=instance_of(bool))

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        """Return the distinct characters of a text in the order of their code points."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters) + self.unknown

    @property
    def start(self) -> str:
        """A new line, or the first character that there is."""
        return "\n" if "\n" in self.characters else self.characters[0]

    @property
    def undrawn(self) -> int | None:
        """The number of the unknown symbol, which is never written."""
        return len(self.characters) if self.unknown else None

    @property
    def symbols(self) -> Array:
        """What each number stands for."""
        return np.array([*self.characters, *([UNKNOWN] if self.unknown else [])])

    def encode(self, text: str, before: int = 0, line: int = 1) -> Array:
        """Return the numbers of the characters; raises `DataError` for one that has none.

        before, line: how many characters come before the text, and in which line it begins, for the message.
        """
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        known = np.frombuffer(self.characters.encode("utf-32-le", "surrogatepass"), np.uint32)
        numbers = np.searchsorted(known, codes)
        wrong = np.flatnonzero(known[np.minimum(numbers, len(known) - 1)] != codes)
        if len(wrong) and not self.unknown:
            place = int(wrong[0])
            raise self.refusal(text[place], before + place, line + text.count("\n", 0, place))
        numbers[wrong] = len(self.characters)
        return numbers.astype(np.int32)

    def refusal(self, character: str, place: int, line: int) -> DataError:
        """Return the error for a character that the model does not know."""
        return DataError(
            f"character {character!r} at place {place}, line {line}, was not in the training text; "
            f"the model knows {len(self.characters)} characters: leave it out or train on text that has it"
        )

    def decode(self, numbers: Array) -> str:
        """Return the text of character numbers."""
        symbols = self.characters + UNKNOWN * self.unknown
        return "".join(symbols[n] for n in numbers)


def embedded_text() -> str:
    """Return the text that every Python interpreter carries."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))
