"""One row of parts that fits in the columns there are."""

from collections.abc import Sequence

import attrs

GAP = "  "


@attrs.frozen
class Part:
    """A part of a row.

    rank: parts with a higher rank are left out first, those of rank 0 never. shorter: what is shown in its place before
    it would be left out; it then stays.
    """

    text: str
    rank: int = attrs.field(default=0, kw_only=True)
    shorter: str = attrs.field(default="", kw_only=True)

    def reduced(self) -> "Part":
        """Return a shorter form of the part, for where the whole does not fit."""
        return Part(self.shorter)


def fitted(parts: Sequence[Part], width: int | None) -> str:
    """Return the parts as a row of at most `width` columns; None for as many as it takes."""
    parts = list(parts)
    while width is not None and len(_row(parts)) > width:
        highest = max(parts, key=lambda part: part.rank)
        if not highest.rank:
            return _row(parts)[:width]
        parts[parts.index(highest)] = highest.reduced()
    return _row(parts)


def _row(parts: Sequence[Part]) -> str:
    return GAP.join(part.text for part in parts if part.text)
