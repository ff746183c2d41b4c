"""`Alphabet`: from the numbers that a language model reads and predicts to text, and back."""

from typing import Protocol

from rnnframe.arrays import Array


class Alphabet(Protocol):
    """What the numbers stand for that a network reads and predicts, where it writes text."""

    @property
    def start(self) -> str:
        """The text to go on from where none is given."""
        ...

    def encode(self, text: str) -> Array:
        """Return the numbers of a text; raises `DataError` for what the network does not know."""
        ...

    def decode(self, numbers: Array) -> str:
        """Return the text of numbers."""
        ...
