"""The parent's side of `worker`: a process for each library, started once, asked in turns."""

import json
import subprocess
import sys
import time

from tests.benchmarks.machine import surroundings

REST = 0.3
"""Seconds between two turns: the threads of torch and jax go on spinning for a while after their work."""


class Worker:
    """A library in a process of its own, held to a number of threads."""

    def __init__(self, subject: str, threads: int) -> None:
        self.subject = subject
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker", subject, str(threads)],
            env=surroundings(threads),
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
