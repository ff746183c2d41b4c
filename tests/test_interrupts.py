"""An interrupt (Ctrl-C) at any moment leaves an engine that gives the bits of a new one, and no thread stuck."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.engine.team import Signals
from rnnframe.engine.threads import ShardThreads
from rnnframe.errors import BusyError

TRIALS = 13
STORES = (
    "full-history",
    "states",
    "auto:budget=1MiB",
    "circular-queue:k1=8,k2=16",
    "circular-queue:k1=8,k2=16,weights=stored",
    "checkpoint:slots=3",
    "checkpoint:slots=3,policy=mixed",
    "checkpoint:slots=3,policy=online",
    "checkpoint:slots=3,keep=bfloat16",
)
MEDIA = ("float16", "blosc2", "disk:path={}")


POSIX = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a system that interrupts waiting")


@POSIX
@pytest.mark.parametrize("kernels", ["numpy", "compiled"])
@pytest.mark.parametrize("shards", [1, 2])
def test_after_interrupts_at_any_moment_an_engine_gives_equal_bits(shards: int, kernels: str, tmp_path: Path) -> None:
    if kernels == "compiled":
        pytest.importorskip("numba")
    media = [medium.format(tmp_path) for medium in MEDIA if medium != "blosc2" or pytest.importorskip("blosc2")]
    stores = [*STORES, *(f"checkpoint:slots=3,medium={medium}" for medium in media)]
    script = Path(__file__).with_name("interrupting.py")
    words = [sys.executable, "-W", "ignore", str(script), "7", str(TRIALS), str(shards), kernels, *stores]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == len(stores)
    assert sum(map(int, done.stdout.split())) > TRIALS * len(stores) / 2


@POSIX
def test_an_interrupt_while_threads_are_ended_leaves_them_to_the_next_run() -> None:
    """The first interrupt comes while the shards work, the second one while the first is dealt with."""
    threads, release, seen = ShardThreads(), threading.Event(), []

    def interrupted(n: int, signals: Signals) -> None:
        if n == 0:
            threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
            raise KeyboardInterrupt
        release.wait()
        seen.append("ended")

    with pytest.raises(KeyboardInterrupt):
        threads.run(interrupted, 2, lambda: None)
    assert seen == []
    threading.Timer(0.2, release.set).start()
    threads.run(lambda n, signals: (signals.barrier(), seen.append(n)), 2, lambda: seen.append("all"))
    assert seen[:2] == ["ended", "all"]
    assert sorted(seen[2:]) == [0, 1]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_error_of_one_shard_ends_the_others_and_is_raised(failing: int) -> None:
    def work(n: int, signals: Signals) -> None:
        signals.barrier()
        if n == failing:
            raise ZeroDivisionError
        signals.barrier()

    threads = ShardThreads()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            threads.run(work, 3, lambda: None)


def test_shards_begin_while_what_all_need_is_made_and_wait_for_it() -> None:
    threads, begun, seen = ShardThreads(), threading.Barrier(3, timeout=60), []

    def prepare() -> None:
        begun.wait()  # both others have begun
        seen.append("made")

    def work(n: int, signals: Signals) -> None:
        if n:
            begun.wait()
        for _ in range(2):  # the second time there is nothing to wait for
            signals.ready()
            seen.append(n)
        signals.barrier()

    for _ in range(2):
        threads.run(work, 3, lambda: seen.append("met"), prepare)
        assert (seen[0], sorted(seen[1:-1]), seen[-1]) == ("made", [0, 0, 1, 1, 2, 2], "met")
        seen.clear()


def test_a_shard_that_needs_nothing_first_waits_at_a_barrier_all_the_same() -> None:
    threads, seen = ShardThreads(), []

    def work(n: int, signals: Signals) -> None:
        if n == 0:
            time.sleep(0.05)
            seen.append("leads")
        signals.barrier()
        seen.append(n)

    for _ in range(3):
        threads.run(work, 3, lambda: seen.append("met"), list)
        assert (seen[:2], sorted(seen[2:])) == (["leads", "met"], [0, 1, 2])
        seen.clear()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_where_what_all_need_fails_no_shard_goes_on(error: type[BaseException]) -> None:
    threads, passed = ShardThreads(), []

    def fail() -> None:
        raise error

    def work(n: int, signals: Signals) -> None:
        signals.ready()
        passed.append(n)

    for _ in range(3):
        with pytest.raises(error):
            threads.run(work, 3, list, fail)
    assert passed == []
    threads.run(work, 3, list, list)
    assert sorted(passed) == [0, 1, 2]


def make(shards: int = 1) -> rf.Engine:
    network = rf.Network(cells=["elman:hidden=4"], head="mse:outputs=1", inputs=2)
    return rf.Engine(network, "circular-queue:k1=4,k2=4", chunk=4, shards=shards)


DATA = np.ones((20, 4, 2)), np.ones((20, 4, 1))


@pytest.mark.parametrize("shards", [1, 2])
def test_an_engine_that_is_called_by_what_it_calls_refuses(shards: int) -> None:
    engine = make(shards)
    expected = engine.gradients(*DATA).loss
    with pytest.raises(BusyError, match="this engine is at work in another call"):
        engine.run(*DATA, None, lambda gradients, loss: engine.gradients(*DATA))
    assert engine.gradients(*DATA).loss == expected


@pytest.mark.parametrize("call", ["gradients", "run", "sweep"])
def test_of_two_threads_on_one_engine_the_second_is_refused(call: str) -> None:
    engine, begun, go_on, errors = make(), threading.Event(), threading.Event(), []

    def hold(gradients: rf.Vector, loss: float) -> None:
        begun.set()
        go_on.wait()

    first = threading.Thread(target=engine.run, args=(*DATA, None, hold))
    first.start()
    begun.wait()
    given = {"gradients": DATA, "run": (*DATA, None, hold), "sweep": (DATA[0], lambda part, outputs: outputs)}[call]
    try:
        getattr(engine, call)(*given)
    except BusyError as error:
        errors.append(str(error))
    go_on.set()
    first.join()
    assert len(errors) == 1
    assert "\n" not in errors[0]


def test_an_inference_that_is_called_by_what_it_reads_refuses() -> None:
    inference = rf.Inference(make().network)

    class Reading:
        shape, dtype = DATA[0].shape, DATA[0].dtype

        def __getitem__(self, steps: slice) -> np.ndarray:
            inference.predict(DATA[0])
            return DATA[0][steps]

    with pytest.raises(BusyError, match="this inference"):
        inference.predict(Reading())
    assert np.array_equal(inference.predict(DATA[0])[0], rf.Inference(make().network).predict(DATA[0])[0])
