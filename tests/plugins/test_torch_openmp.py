"""Shards in the threads of torch's own OpenMP: who runs them, and what becomes of errors, interrupts and forks."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rnnframe_torch import openmp  # noqa: E402 - imports torch

together = openmp.together


@pytest.fixture
def two_threads():
    """Have torch compute with two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def need_pool():
    """Skip the test where torch has no OpenMP of its own that can be asked."""
    if openmp._pool() is None:
        pytest.skip("this torch has no OpenMP with GNU's interface")


@pytest.mark.parametrize("count", [2, 3, 7])
def test_each_piece_is_called_once_also_with_more_of_them_than_threads(two_threads, count):
    seen = []
    together([lambda n=n: seen.append(n) for n in range(count)])
    assert sorted(seen) == list(range(count))


def test_pieces_run_at_the_same_time(two_threads):
    meeting = threading.Barrier(2, timeout=30)
    together([meeting.wait, meeting.wait])


def test_no_thread_is_started_beside_those_of_torch(two_threads):
    need_pool()
    torch.ones(1_000_000).exp()  # torch starts its own
    together([lambda: None, lambda: None])
    before = len(os.listdir("/proc/self/task"))
    for _ in range(20):
        together([lambda: time.sleep(0.001), lambda: time.sleep(0.001)])
    assert len(os.listdir("/proc/self/task")) == before


def test_a_piece_sees_the_errstate_of_who_calls(two_threads):
    states = []
    with np.errstate(over="ignore", invalid="raise"):
        together([lambda: states.append(np.geterr())] * 2)
    assert [(each["over"], each["invalid"]) for each in states] == [("ignore", "raise")] * 2


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_a_piece_is_raised_when_all_have_ended(two_threads, failing):
    done = []

    def piece(n):
        if n == failing:
            raise ValueError(f"piece {n}")
        time.sleep(0.05)
        done.append(n)

    with pytest.raises(ValueError, match=f"piece {failing}"):
        together([lambda: piece(0), lambda: piece(1)])
    assert done == [1 - failing]


def test_an_interrupt_is_raised_and_the_pool_works_afterwards(two_threads):
    def interrupted():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)

    with pytest.raises(KeyboardInterrupt):
        together([interrupted, lambda: None])
    test_each_piece_is_called_once_also_with_more_of_them_than_threads(None, 3)


def test_an_interrupt_leaves_no_thread_at_work(two_threads, monkeypatch):
    """Where torch has no OpenMP, as on macOS: the threads write to buffers that the next call uses."""
    monkeypatch.setattr(openmp, "_pool", lambda: None)
    ended = []

    def long():
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        together([lambda: None, long])
    assert ended == [True]


def test_an_interrupt_outside_a_piece_is_not_lost(two_threads, monkeypatch):
    # ctypes prints what a callback raises, and goes on: such a run must not pass for one that has ended.
    monkeypatch.setattr(openmp, "_in_threads", lambda calls: calls[0]())
    monkeypatch.setattr(openmp, "_pool", lambda: None)
    with pytest.raises(KeyboardInterrupt):
        together([lambda: None, lambda: None])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_process_works_with_threads_of_its_own(two_threads):
    together([lambda: None, lambda: None])
    child = os.fork()
    if child == 0:
        seen = []
        together([lambda: seen.append(1), lambda: seen.append(2)])
        os._exit(0 if sorted(seen) == [1, 2] else 1)
    for _ in range(300):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0


FIRST_IN_A_CHILD = """
import os, signal, torch
torch.set_num_threads(2)
from rnnframe_torch.openmp import together
(torch.ones(1_000_000) + 1).exp()  # torch has started its threads; `together` was not called yet
child = os.fork()
if child == 0:
    signal.alarm(20)
    seen = []
    together([lambda: seen.append(1), lambda: seen.append(2)])
    os._exit(0 if sorted(seen) == [1, 2] else 1)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_may_be_the_first_that_asks_for_threads():
    words = [sys.executable, "-W", "ignore", "-c", FIRST_IN_A_CHILD]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "0"  # 14 where it hung


def test_an_interrupt_between_the_pieces_is_raised_and_not_printed(two_threads, monkeypatch):
    """It used to reach ctypes, which printed a traceback; behind the last piece it was lost as well."""
    need_pool()
    pool, printed = openmp._pool(), []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)

    class Late(list):
        """The functions of one thread, behind the last of which an interrupt comes."""

        def __getitem__(self, which):
            def each():
                yield from list.__getitem__(self, which)
                if which.start == 0:
                    raise KeyboardInterrupt

            return each()

    done = []
    with pytest.raises(KeyboardInterrupt):
        openmp._in_pool(pool, Late([lambda: done.append(1), lambda: done.append(2)]))
    assert sorted(done) == [1, 2]
    assert printed == []


def test_other_threads_have_pools_of_their_own(two_threads):
    seen = []
    threads = [
        threading.Thread(target=lambda n=n: together([lambda: seen.append(n)] * 2), daemon=True) for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(seen) == [0, 0, 1, 1, 2, 2]
