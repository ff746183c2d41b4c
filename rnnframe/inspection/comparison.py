"""One strategy measured in a process of its own.

`python -m rnnframe.inspection.comparison` reads a job and prints the result. A new process has held nothing before, so
the peak of its resident set is that of the strategy. The gradient is written to a file, for the parent process to
compare.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.engine.blas import one_thread
from rnnframe.engine.engine import Engine
from rnnframe.errors import RnnframeError, RunError, UsageError
from rnnframe.network.network import Network
from rnnframe.registry.registry import Registry, using

TURNS = 3


@attrs.frozen(kw_only=True)
class Job:
    """A network, a random batch and a store, to be measured in a process of its own.

    `gradient` is the file for the gradient. `plugins` are the files and modules that the user named; the new process
    loads them too.
    """

    cells: list[str]
    head: str
    inputs: int
    dtype: str
    precision: str | None
    steps: int
    batch: int
    chunk: int
    shards: int
    kernels: str
    store: str
    gradient: str
    plugins: list[str] = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class Measured:
    """The result of a job. `above_idle_bytes` is None if the system does not report the peak."""

    store: str
    exact: bool
    kernels: list[str]
    predicted_bytes: int | None
    held_bytes: int
    above_idle_bytes: int | None
    seconds: float
    forward_steps: int
    loss: float


def measure_apart(job: Job) -> Measured:
    """Run a job in its own process; an error there is raised here with the same line."""
    command = [sys.executable, "-m", "rnnframe.inspection.comparison"]
    done = subprocess.run(command, input=json.dumps(attrs.asdict(job)), capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise (UsageError if done.returncode == UsageError.exit_code else RunError)(lines[-1])
    return Measured(**json.loads(done.stdout))


def measure(job: Job) -> Measured:
    """Run a job in this process, with BLAS on one thread: once for the peak, then several times for the time."""
    network = Network(cells=job.cells, head=job.head, inputs=job.inputs, dtype=job.dtype, precision=job.precision)
    x, y = batch_of(network, job.steps, job.batch)
    first = y if _last_only(network) else y[:1]
    Engine(network, "full-history", chunk=1, shards=job.shards, kernels=job.kernels).gradients(
        x[:1], first
    )  # performs the late imports, and holds little
    engine = Engine(network, job.store, job.chunk, job.shards, kernels=job.kernels)
    idle = _begin_peak()
    result = engine.gradients(x, y)
    above = None if idle is None else max(0, (_resident("VmHWM") or 0) - idle)
    np.save(job.gradient, result.gradients.flat, allow_pickle=False)
    times = []
    for _ in range(TURNS):
        begun = time.perf_counter()
        engine.gradients(x, y)
        times.append(time.perf_counter() - begun)
    report = result.report
    return Measured(
        store=report.store,
        exact=report.exact,
        kernels=list(report.kernels),
        predicted_bytes=report.predicted_bytes,
        held_bytes=report.peak_bytes,
        above_idle_bytes=above,
        seconds=float(np.median(times)),
        forward_steps=report.forward_steps,
        loss=result.loss,
    )


def batch_of(network: Network, steps: int, batch: int) -> tuple[Array, Array]:
    """Return a random batch for a network, the same every time."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps, batch, network.inputs)).astype(network.dtype)
    head, loss = network.head, network.data_format.targets
    assert head is not None
    assert loss is not None
    lead = (batch,) if _last_only(network) else (steps, batch)
    if loss.target_width is None:
        return x, rng.integers(0, head.loss.width, lead)
    return x, rng.integers(0, 2, (*lead, loss.target_width)).astype(network.dtype)


def _last_only(network: Network) -> bool:
    return network.head is not None and network.head.loss.at == "last"


def difference(gradient: Array, reference: Array) -> tuple[float, float]:
    """Return the relative error |g - r| / |r| and the cosine of the angle between two gradients."""
    g, r = gradient.astype(np.float64), reference.astype(np.float64)
    norms = float(np.linalg.norm(g)), float(np.linalg.norm(r))
    cosine = float(g @ r) / (norms[0] * norms[1]) if all(norms) else float("nan")
    return float(np.linalg.norm(g - r)) / norms[1] if norms[1] else float("nan"), cosine


def _begin_peak() -> int | None:
    """Reset the peak of the resident set, and return the present resident set (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _resident("VmRSS")


def _resident(name: str) -> int | None:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return None


def main() -> int:
    """Read a job from standard input and print the result."""
    job: dict[str, Any] = json.load(sys.stdin)
    try:
        registry = Registry.installed()
        for source in job["plugins"]:
            registry.add_local(source)
        with using(registry), one_thread():
            print(json.dumps(attrs.asdict(measure(Job(**job)))))
    except RnnframeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except MemoryError:
        print(f"store {job['store']!r} needs more memory than there is", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
