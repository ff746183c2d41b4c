import subprocess
import sys

import numpy as np
import pytest

import rnnframe as rf

ENDLESS = """
import os, signal, threading, numpy as np, rnnframe as rf
network = rf.Network(cells=["elman:hidden=4"], head="mse:outputs=1", inputs=2)
def blocks():
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        yield np.zeros((8, 4, 2)), np.zeros((8, 4, 1))
try:
    rf.Engine(network, store="circular-queue:k1=4,k2=8", shards=SHARDS).gradients(blocks(), None)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("shards", [1, 2])
def test_an_interrupt_ends_an_endless_run(shards: int) -> None:
    code = ENDLESS.replace("SHARDS", str(shards))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "interrupted\n"


class WindowOfBytes(type(rf.store("full-history"))):
    """A store whose number of updates follows from the bytes of a tape, which shards of unequal size do not share."""

    name = "window-of-bytes"
    exact = False

    def schedule(self, grid: rf.Grid, costs: rf.Costs):
        window = max(1, 1000 // costs.tape)
        for start in range(0, grid.chunks, window):
            stop = min(start + window, grid.chunks)
            yield rf.Forward(start, stop, keep=True)
            yield rf.Reverse(stop, start)
            yield rf.Update()


def test_shards_of_unequal_size_follow_one_schedule_and_meet_at_its_updates() -> None:
    network = rf.Network(cells=["elman:hidden=4"], head="mse:outputs=1", inputs=2)
    engine = rf.Engine(network, store=WindowOfBytes(), chunk=2, shards=2)
    small, large = engine.shard_plans(100, 5)
    assert (small.batch, large.batch) == (2, 3)
    assert 1000 // small.costs.tape != 1000 // large.costs.tape
    updates = []
    engine.run(np.zeros((100, 5, 2)), np.zeros((100, 5, 1)), None, lambda gradients, loss: updates.append(loss))
    assert len(updates) == large.simulation.updates > 1
