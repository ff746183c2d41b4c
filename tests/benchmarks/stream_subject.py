"""One side of `stream`: a training on a text, which goes on by some batches whenever it is asked to.

`python -m tests.benchmarks.stream_subject file|held THREADS PATH LIMIT CELL STORE KERNELS BATCH STEPS`.
"""

import itertools
import resource
import sys
import time
from pathlib import Path

from tests.benchmarks.processes import serve

WARM = 20  # batches before anything is measured


def main() -> None:
    """Limit the address space where the text is read from its file, then train on demand."""
    how, threads, path, limit, cell, store, kernels, batch, steps = sys.argv[1:]
    if how == "file":
        resource.setrlimit(resource.RLIMIT_AS, (int(limit) << 20,) * 2)
    from rnnframe.engine.blas import one_thread
    from rnnframe.registry.registry import default_registry
    from rnnframe.training.options import TrainingOptions
    from rnnframe.training.session import Training

    task = default_registry().task("characters:hold=0" if how == "file" else "characters:hold=1TiB")
    options = TrainingOptions(
        data=path,
        cell=cell,
        store=store,
        kernels=kernels,
        rate="constant",
        batch=int(batch),
        steps=int(steps),
        shards=int(threads),
        held_out=1e-5,
    )
    training = Training(options, task=task)

    def train(batches: int) -> float:
        numbers = itertools.count(1)
        training.fit(lambda: next(numbers) == batches)
        return training.progress.loss_sum / max(1, training.progress.count)

    def answer(request: dict) -> dict:
        begun = time.perf_counter()
        loss = train(request["batches"])
        seconds = time.perf_counter() - begun
        return {
            "loss": loss,
            "characters": request["batches"] * int(batch) * int(steps),
            "seconds": seconds,
            "anonymous": status("RssAnon"),
            "mapped": status("VmSize"),
        }

    with one_thread():
        train(WARM)
        serve(int(threads), answer)


def status(name: str) -> int:
    """Return bytes that Linux tells of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    main()
