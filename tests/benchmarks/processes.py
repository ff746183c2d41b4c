"""A library in a process of its own, started once and asked in turns: the parent's side and the child's."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from tests.benchmarks.machine import surroundings

REST = 0.3
"""Seconds between two turns: the threads of torch and jax go on spinning for a while after their work."""


class Worker:
    """The parent's side: a module that serves, for one subject, held to a number of threads and so to `settings`."""

    def __init__(
        self, module: str, subject: str, threads: int, *words: str, settings: Mapping[str, str] | None = None
    ) -> None:
        self.subject = subject
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, subject, str(threads), *words],
            env=surroundings(threads) | dict(settings or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: object) -> dict:
        """Send a request and wait for its answer."""
        time.sleep(REST)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"{self.subject} ended without an answer")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def serve(threads: int, answer: Callable[[dict], dict]) -> None:
    """The child's side: answer requests until there are no more, on as many cores as threads."""
    with contextlib.suppress(AttributeError, OSError):  # Linux only: the same cores for every library
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin:
        try:
            answered = answer(json.loads(line))
        except ImportError as error:
            answered = {"missing": str(error).splitlines()[0]}
        print(json.dumps(answered), file=answers, flush=True)
