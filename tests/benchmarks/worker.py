"""What `speed` asks of a library: `python -m tests.benchmarks.worker SUBJECT THREADS`."""

import importlib
import sys
import time

from tests.benchmarks.machine import blas_kernels
from tests.benchmarks.problems import Problem, Shape
from tests.benchmarks.processes import serve

# name -> module with `prepare`, its options
SUBJECTS = {
    "torch": ("tests.benchmarks.torch_subject", {}),
    "torch-bfloat16": ("tests.benchmarks.torch_subject", {"precision": "bfloat16"}),
    "jax": ("tests.benchmarks.jax_subject", {}),
    "numpy": ("tests.benchmarks.our_subject", {"kernels": "numpy"}),
    "compiled": ("tests.benchmarks.our_subject", {"kernels": "compiled"}),
    "compiled-bfloat16": ("tests.benchmarks.our_subject", {"kernels": "compiled", "precision": "bfloat16"}),
}
MATMUL = "matmul"


class Subject:
    """A library that is timed on one problem after the other."""

    def __init__(self, name: str, threads: int) -> None:
        self._name, self._threads = name, threads
        self._prepared = None, None

    def answer(self, request: dict) -> dict:
        """Return the times of some calls, after two that do not count when the problem is new."""
        problem = Problem(request["cell"], Shape(*request["shape"]), request["setting"])
        if self._prepared[0] != problem:
            self._prepared = None, None
            module, options = SUBJECTS[self._name]
            run = importlib.import_module(module).prepare(problem, self._threads, **options)
            run()
            run()
            self._prepared = problem, run
        return timed(self._prepared[1], request["seconds"])


def timed(run, seconds: float) -> dict:
    """Return the times of some calls, at least three, and the norms of the gradients of U and W."""
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        begun = time.perf_counter()
        gradients, scale = run()
        times.append(time.perf_counter() - begun)
    return {"times": times, "norms": [float(scale) * float((g**2).sum() ** 0.5) for g in gradients]}


def products(request: dict) -> dict:
    """Return the rates of plain matrix products, by shape."""
    from tests.benchmarks.matmul_subject import rates

    return {"rates": rates(request["seconds"]), "blas": blas_kernels()}


if __name__ == "__main__":
    name, threads = sys.argv[1], int(sys.argv[2])
    serve(threads, products if name == MATMUL else Subject(name, threads).answer)
