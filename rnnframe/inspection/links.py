"""The time of a reduction over several machines, by an alpha-beta model: a time for each message, one for each byte.

A message of m bytes takes alpha + m beta seconds (Hockney 1994, "The communication challenge for MPP"). A sum over N
ranks (`rnnframe.contracts.reducer`) is two steps, slices out and sums back; in each a rank sends N - 1 messages with
(N - 1)/N of the bytes in all, as for a ring (Thakur, Rabenseifner & Gropp 2005, "Optimization of collective
communication operations in MPICH"). In between it adds up N terms of 1/N of the bytes. What is told beside, losses and
whether to stop, are N - 1 short messages each. Nothing overlaps here, and all ranks are on machines of their own.
"""

import re
from typing import Self

import attrs

from rnnframe.contracts.reducer import FIRST
from rnnframe.errors import OptionError

LATENCY = 20e-6
"""Seconds of a message where none are given: about those of TCP over Ethernet; InfiniBand has a tenth."""
_UNITS = {"M": 1e6, "G": 1e9, "T": 1e12}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@attrs.frozen(kw_only=True)
class Link:
    """What connects machines.

    Parameters
    ----------
    rate : float
        Bytes a second, in each direction at once.
    latency : float
        Seconds that a message takes beside its bytes.
    """

    rate: float
    latency: float = LATENCY

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "10Gb" (gigabits a second) or "100Gb:latency=2us"; raises `OptionError`."""
        found = re.fullmatch(
            r"(\d+(?:\.\d+)?)\s*([MGT])b(?:/s|ps)?(?::latency=(\d+(?:\.\d+)?)(us|ms|s))?", text.strip()
        )
        if found is None or float(found[1]) == 0:
            raise OptionError(
                f"--network {text!r} is invalid; expected bits a second, such as 10Gb, or 100Gb:latency=2us"
            )
        rate = float(found[1]) * _UNITS[found[2]] / 8
        latency = float(found[3]) * _SECONDS[found[4]] if found[3] else LATENCY
        return cls(rate=rate, latency=latency)

    def sum_seconds(self, ranks: int, nbytes: int, adding: float = 0.0) -> float:
        """Return the seconds of a sum of vectors of so many bytes; `adding` is those of adding up one such vector."""
        others = ranks - 1
        return 2 * others * self.latency + sent_bytes(ranks, nbytes) / self.rate + adding * others / ranks

    def gather_seconds(self, ranks: int) -> float:
        """Return the seconds in which each rank tells all others a short value."""
        return (ranks - 1) * (self.latency + FIRST / self.rate)


def sent_bytes(ranks: int, nbytes: int) -> float:
    """Return the bytes that each rank sends, and receives, for a sum of vectors of so many bytes."""
    return 2 * nbytes * (ranks - 1) / ranks
