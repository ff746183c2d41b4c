"""Run by a launcher: the bits of real ranks beside those of one process, for every cell and store.

mpiexec -n 3 python tests/rank_matrix.py mpi [small]
"""

import sys
from collections.abc import Iterator
from typing import Any

from test_ranks import ALL_CUTS, BATCH, CELLS, EXACT, TRUNCATED, trained

import rnnframe as rf

UPDATES = 3
"""Batches of a training, each with an update where none is accumulated."""
LENGTHS = {"carry": True, "lengths": True, "weights": True}
TWO_WAYS = ["bidirectional(gru:hidden=3)", "dropout:rate=0.3"]


def trainings(*, small: bool) -> Iterator[tuple[list[str], str, dict[str, Any], int | None]]:
    """Yield cells, a store, more about the batches, and how often gradients are added up; None for windows."""
    for cell in CELLS[1:2] if small else CELLS:
        cells = [cell, "dropout:rate=0.3"]
        for store in EXACT[-3:-2] if small else EXACT:
            yield cells, store, {"batches": [BATCH, 3, 1]}, UPDATES
            yield cells, store, {**LENGTHS, "accumulate": 2}, -(-UPDATES // 2)
        for store in TRUNCATED[:1] if small else TRUNCATED:
            yield cells, store, {"carry": True}, None
            yield cells, store, {"lengths": True, "batches": [BATCH, 3, 1]}, None
    for store in EXACT[:1] if small else EXACT:
        if store != "states":  # which rebuilds, with other bits at other lengths of a chunk
            yield TWO_WAYS, store, {"lengths": True, "accumulate": 2}, -(-UPDATES // 2)


def main(reducer: str, part: str = "all") -> None:
    """Compare all that have so many ranks; raises `AssertionError` where the bits differ."""
    with rf.reducer(reducer).open() as group:
        compared, reductions, add_up = 0, [], group.sum
        group.sum = lambda *given: (reductions.append(1), add_up(*given))
        for each in [each for ranks, each in ALL_CUTS if ranks == group.size]:
            for cells, store, more, wanted in trainings(small=part == "small"):
                reductions.clear()
                shared = trained(group, group.size * each, cells, store, **more)
                made = len(reductions)
                alone = trained(None, group.size * each, cells, store, **more) if group.rank == 0 else None
                assert shared == group.tell(alone), (each, cells, store, more)
                assert wanted in (None, made), (made, each, cells, store, more)
                compared += 1
        if group.rank == 0:
            print(f"{compared} have the bits of one process")


if __name__ == "__main__":
    main(*sys.argv[1:])
