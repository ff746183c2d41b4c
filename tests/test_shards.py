import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.engine.threads import LEAST_PRODUCTS, usable_cores, usual_shards
from rnnframe.plugin import Costs
from rnnframe.registry.registry import Registry, default_registry, using
from rnnframe.schedules import Forward, Grid, Reverse, Update

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

    def schedule(self, grid: Grid, costs: Costs):
        window = max(1, 1000 // costs.tape)
        for start in range(0, grid.chunks, window):
            stop = min(start + window, grid.chunks)
            yield Forward(start, stop, keep=True)
            yield Reverse(stop, start)
            yield Update()


def test_shards_of_unequal_size_follow_one_schedule_and_meet_at_its_updates() -> None:
    network = rf.Network(cells=["elman:hidden=4"], head="mse:outputs=1", inputs=2)
    engine = rf.Engine(network, store=WindowOfBytes(), chunk=2, shards=2)
    small, large = engine.run_plan(100, 5).shards
    assert (small.batch, large.batch) == (2, 3)
    assert 1000 // small.costs.tape != 1000 // large.costs.tape
    updates = []
    engine.run(np.zeros((100, 5, 2)), np.zeros((100, 5, 1)), None, lambda gradients, loss: updates.append(loss))
    assert len(updates) == large.simulation.updates > 1


def make_engine(**options) -> rf.Engine:
    network = rf.Network(cells=["elman:hidden=4"], head="mse:outputs=1", inputs=2)
    return rf.Engine(network, chunk=2, **options)


DATA = np.ones((10, 6, 2)), np.ones((10, 6, 1))


def shard_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "rnnframe-shard"}


def test_an_engine_keeps_its_threads_from_run_to_run_and_ends_them_with_itself() -> None:
    before = shard_threads()
    engine = make_engine(shards=3)
    engine.gradients(*DATA)
    mine = shard_threads() - before
    engine.gradients(*DATA)
    assert shard_threads() - before == mine
    assert len(mine) == 2  # beside the calling one
    del engine
    gc.collect()
    for thread in mine:
        thread.join(timeout=60)
        assert not thread.is_alive()


def test_threads_that_wait_hold_nothing_of_what_they_worked_on() -> None:
    engine = make_engine(shards=2)
    seen = []

    class Taker:
        def __call__(self, gradients: rf.Vector, loss: float) -> None:
            seen.append(loss)

        def __del__(self) -> None:
            seen.append("gone")

    engine.run(*DATA, None, Taker())
    gc.collect()
    assert seen[-1] == "gone"


FORKING = """
import os, warnings, numpy as np, rnnframe as rf
warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of fork beside threads
network = rf.Network(cells=["elman:hidden=4"], head="mse:outputs=1", inputs=2)
engine = rf.Engine(network, shards=2)
data = np.ones((10, 4, 2)), np.ones((10, 4, 1))
expected = engine.gradients(*data).gradients.flat
child = os.fork()
same = np.array_equal(engine.gradients(*data).gradients.flat, expected)
if not child:
    os._exit(0 if same else 1)
print(same, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
def test_parent_and_child_of_a_fork_both_go_on_and_end_with_threads_that_wait() -> None:
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True 0\n"


def test_shards_work_with_the_plugins_in_use_where_the_engine_was_called() -> None:
    """An error in a cell is told with the name of its plugin, which the registry in use knows."""
    seen = []

    class Curious(type(rf.store("full-history"))):
        name = "curious"

        def schedule(self, grid: Grid, costs: Costs):
            seen.append(default_registry())
            yield from super().schedule(grid, costs)

    registry = Registry.installed()
    with using(registry):
        make_engine(shards=2, store=Curious()).gradients(*DATA)
    assert seen
    assert all(found is registry for found in seen)


@given(batch=st.integers(1, 10_000), recurrent=st.integers(1, 10**8))
def test_there_are_as_many_shards_as_cores_if_each_has_samples_and_work_enough(batch: int, recurrent: int) -> None:
    count = usual_shards(batch, recurrent)
    assert 1 <= count <= usable_cores()
    if count > 1:
        assert batch // count >= 4
        assert batch * recurrent // count >= LEAST_PRODUCTS
    if count < usable_cores():
        assert batch // (count + 1) < 4 or batch * recurrent // (count + 1) < LEAST_PRODUCTS


def test_an_engine_takes_the_usual_number_of_shards_for_each_batch() -> None:
    network = rf.Network(cells=["elman:hidden=256"], head="mse:outputs=1", inputs=2)
    engine = rf.Engine(network)
    for batch in (1, 8, 32):
        x, y = np.ones((3, batch, 2)), np.ones((3, batch, 1))
        report = engine.gradients(x, y).report
        assert report.shards == len(engine.run_plan(3, batch).shards) == usual_shards(batch, network.recurrent_work)
        assert report.peak_bytes == report.predicted_bytes


ONE_CORE = """
import os
os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
from rnnframe.engine.threads import usual_shards
print(usual_shards(1000, 10**9))
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a system that tells a process its cores")
def test_a_process_held_to_one_core_has_one_shard() -> None:
    done = subprocess.run([sys.executable, "-c", ONE_CORE], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "1\n"
