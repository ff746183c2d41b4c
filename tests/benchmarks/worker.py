"""One library in a process of its own: reads a request a line, writes an answer a line.

python -m tests.benchmarks.worker SUBJECT THREADS
"""

import contextlib
import importlib
import json
import os
import sys
import time

from tests.benchmarks.machine import blas_kernels
from tests.benchmarks.problems import Problem, Shape

# name -> module with `prepare`, its options
SUBJECTS = {
    "torch": ("tests.benchmarks.torch_subject", {}),
    "jax": ("tests.benchmarks.jax_subject", {}),
    "numpy": ("tests.benchmarks.our_subject", {"kernels": "numpy"}),
    "compiled": ("tests.benchmarks.our_subject", {"kernels": "compiled"}),
}
MATMUL = "matmul"


def main(subject: str, threads: int) -> None:
    """Answer requests until there are no more."""
    with contextlib.suppress(AttributeError, OSError):  # Linux only: the same cores for every library
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    prepared = None, None
    for line in sys.stdin:
        request = json.loads(line)
        if subject == MATMUL:
            from tests.benchmarks.matmul_subject import best_gflops

            answer = {"gflops": best_gflops(request["seconds"]), "blas": blas_kernels()}
        else:
            problem = Problem(request["cell"], Shape(*request["shape"]), request["setting"])
            try:
                if prepared[0] != problem:
                    prepared = None, None
                    prepared = problem, warm(subject, problem, threads)
                answer = timed(prepared[1], request["seconds"])
            except (ImportError, ValueError) as error:
                answer = {"missing": str(error).splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)


def warm(subject: str, problem: Problem, threads: int):
    """Return the function to be timed, after two calls."""
    module, options = SUBJECTS[subject]
    run = importlib.import_module(module).prepare(problem, threads, **options)
    run()
    run()
    return run


def timed(run, seconds: float) -> dict:
    """Return the times of some calls, at least three, and the norms of the gradients of U and W."""
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        begun = time.perf_counter()
        gradients, scale = run()
        times.append(time.perf_counter() - begun)
    return {"times": times, "norms": [float(scale) * float((g**2).sum() ** 0.5) for g in gradients]}


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
