"""One rank of the benchmark of reductions; rank 0 prints what all have found, as JSON."""

import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

import rnnframe as rf
from rnnframe.inspection.links import Link
from rnnframe.plugin import Group

SHORT, ROUNDS = 64, 200
"""Bytes of a short message, and how often one is sent."""
LONG = (1 << 20, 4 << 20, 16 << 20)
"""Bytes of the messages that tell the seconds of a byte: in the caches of processors, and beyond."""


def quartiles(group: Group, work: Callable[[], object], turns: int) -> list[float]:
    """Return the quartiles of the seconds that the slowest rank takes; all begin together."""
    times = []
    for _ in range(turns + 1):
        group.gather(None)
        begun = time.perf_counter()
        work()
        times.append(max(group.gather(time.perf_counter() - begun)))
    return statistics.quantiles(times[1:], n=4)


def slowest(group: Group, work: Callable[[], object], turns: int) -> float:
    """Return the median of the same seconds."""
    return quartiles(group, work, turns)[1]


def link_of(group: Group, turns: int) -> Link:
    """Return what connects the ranks, as messages from each to the next one find it, all at once.

    What a message has brought is sent on in the next one, and is received in other memory, as in a sum. The seconds of
    a byte are those whose predictions of long messages have the least squares of relative errors.
    """
    after, before = (group.rank + 1) % group.size, (group.rank - 1) % group.size

    def seconds(nbytes: int, rounds: int) -> float:
        first, second, third = (np.ones(nbytes, np.uint8) for _ in range(3))

        def pass_on(there: np.ndarray, here: np.ndarray) -> None:
            sent = [there if rank == after else None for rank in range(group.size)]
            group.exchange(sent, [here if rank == before else None for rank in range(group.size)])

        def both() -> None:
            pass_on(first, second)
            pass_on(second, third)

        return slowest(group, both, rounds) / 2

    short = seconds(SHORT, ROUNDS)
    times = [seconds(nbytes, turns) for nbytes in LONG]
    pairs = [(nbytes / took, 1 - short / took) for nbytes, took in zip(LONG, times, strict=True)]
    return Link(rate=sum(a * a for a, _ in pairs) / sum(a * b for a, b in pairs), latency=short)


def adding_of(group: Group, size: int, turns: int) -> float:
    """Return the seconds in which all ranks at once add a vector that a message has brought to one that was sent.

    The caches of other cores have parts of both, so that it takes longer than where nothing was exchanged.
    """
    own, term = np.ones(size, np.float32), np.ones(size, np.float32)
    others = [rank != group.rank for rank in range(group.size)]
    pieces = [array[: size // (group.size - 1)] for array in (own, term)]
    times = []
    for _ in range(turns + 1):
        group.exchange(*([piece if other else None for other in others] for piece in pieces))
        group.gather(None)
        begun = time.perf_counter()
        np.add(own, term, out=own)
        times.append(max(group.gather(time.perf_counter() - begun)))
    return statistics.median(times[1:])


def main(request: dict) -> None:
    """Measure the link, and then sums beside the model."""
    turns = request["turns"]
    with rf.reducer(request["reducer"]).open() as group:
        link, rows = link_of(group, turns), []
        for size in request["floats"]:
            adding = adding_of(group, size, turns)
            values = np.ones(size, np.float32)
            low, measured, high = quartiles(group, lambda values=values: group.sum(values), turns)
            messages = link.sum_seconds(group.size, values.nbytes)
            model = link.sum_seconds(group.size, values.nbytes, adding)
            rows.append(
                {
                    "floats": size,
                    "measured": measured,
                    "quartiles": (low, high),
                    "model": model,
                    "messages": messages,
                    "adding": model - messages,
                }
            )
        if group.rank == 0:
            print(json.dumps({"latency": link.latency, "rate": link.rate, "rows": rows}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
