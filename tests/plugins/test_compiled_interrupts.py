"""Ctrl-C while kernels are compiled or loaded: one line and 130, at whatever moment it comes."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rnnframe_compiled import interrupts

POSIX = pytest.mark.skipif(os.name != "posix", reason="sends a signal to itself")


@POSIX
def test_interrupts_wait_for_what_is_compiled() -> None:
    done = []

    def make() -> None:
        with interrupts.made_whole():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            done.append("whole")
        done.append("not reached")

    with pytest.raises(KeyboardInterrupt):
        make()
    assert done == ["whole"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_others_and_other_threads_are_left_alone() -> None:
    seen = []

    def look() -> None:
        with interrupts.made_whole():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        look()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert seen == [signal.default_int_handler, signal.SIG_IGN]


CALLED_BACK = """
import os, signal, sys
from rnnframe.__main__ import main
from llvmlite.binding import executionengine

keep = executionengine.ExecutionEngine.set_object_cache

def set_object_cache(engine, notify_func=None, getbuffer_func=None):
    def interrupted(module, buffer):
        os.kill(os.getpid(), signal.SIGINT)
        return notify_func(module, buffer)
    return keep(engine, interrupted, getbuffer_func)

executionengine.ExecutionEngine.set_object_cache = set_object_cache
main()
"""


@POSIX
def test_an_interrupt_while_llvm_calls_back_ends_a_training_in_one_line(tmp_path: Path) -> None:
    """It was lost, and the training went on, or ended as if the kernels were broken."""
    pytest.importorskip("numba")
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 20)
    words = ["train", "--data", str(tmp_path / "text.txt"), "--task", "characters", "--steps", "8", "--no-out"]
    words += ["--batch", "2", "--epochs", "1", "--kernels", "compiled", "--layers", "elman:hidden=4"]
    done = subprocess.run(
        [sys.executable, "-c", CALLED_BACK, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    *_, told = done.stderr.strip().splitlines()
    assert told == "rnnframe: error: stopped"
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr
