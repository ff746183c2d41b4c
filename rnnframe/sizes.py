"""Numbers of bytes as people write and read them: 64MiB, 1.5 GB, 5.6 MiB."""

import math
import re
from typing import ClassVar, Self

UNITS = {"": 1, "B": 1} | {
    prefix + suffix: base**power
    for power, prefix in enumerate("KMGT", start=1)
    for suffix, base in (("iB", 1024), ("B", 1000), ("", 1024))
}
"""Unit -> bytes; K, M, G and T alone mean KiB, MiB, GiB and TiB."""


class ByteSize(int):
    """A number of bytes that can be written with a unit: KiB, MiB, GiB, TiB (1024) or KB, MB, GB, TB (1000)."""

    description: ClassVar[str] = "bytes such as 64MiB"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read a size; raises `ValueError` for what is none."""
        match = re.fullmatch(r"([0-9.]+)\s*([A-Za-z]*)", text.strip())
        units = {unit.lower(): size for unit, size in UNITS.items()}
        if match is None or match[2].lower() not in units:
            raise ValueError(text)
        size = float(match[1]) * units[match[2].lower()]
        if not math.isfinite(size):
            raise ValueError(text)
        return cls(size)

    def __str__(self) -> str:
        """Write the size exactly, in the largest unit that divides it: 64MiB, 1000."""
        for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
            if self and int(self) % 2**power == 0:
                return f"{int(self) >> power}{unit}"
        return str(int(self))


def human_bytes(count: int | None) -> str:
    """Write a number of bytes with the unit that suits it: 5.6 MiB; None is no bound."""
    if count is None:
        return "no bound"
    size, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"
