"""Where the gates of a cell are on its tape, for who watches them."""

from collections.abc import Mapping


def gate_columns(letters: str, hidden: int) -> Mapping[str, tuple[str, slice]]:
    """Return the columns of the gates in the array "gates": H for each letter, those of a dot left out."""
    places = enumerate(letters)
    return {letter: ("gates", slice(n * hidden, (n + 1) * hidden)) for n, letter in places if letter != "."}
