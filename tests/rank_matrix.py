"""Run by a launcher: the bits of real ranks beside those of one process, for every cell and store.

mpiexec -n 3 python tests/rank_matrix.py mpi
"""

import itertools
import sys

from test_ranks import ALL_CUTS, BATCH, CELLS, EXACT, trained

import rnnframe as rf

STORES = [*EXACT, "circular-queue:k1=4,k2=8", "circular-queue:k1=4,k2=12,weights=stored"]


def main(reducer: str) -> None:
    """Compare all that have so many ranks; raises `AssertionError` where the bits differ."""
    with rf.reducer(reducer).open() as group:
        compared = 0
        for (ranks, each), cell, store in itertools.product(ALL_CUTS, CELLS, STORES):
            if ranks != group.size:
                continue
            cells = [cell, "dropout:rate=0.3"]
            cases = [{"carry": True}, {"batches": [BATCH, 3, 1]}]
            if store in EXACT:
                cases.append({"carry": True, "lengths": True, "accumulate": 2, "weights": True})
            for case in cases:
                shared = trained(group, ranks * each, cells, store, **case)
                assert shared == trained(None, ranks * each, cells, store, **case), (each, cell, store, case)
                compared += 1
        if group.rank == 0:
            print(f"{compared} have the bits of one process")


if __name__ == "__main__":
    main(sys.argv[1])
