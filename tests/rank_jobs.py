"""Real jobs of several processes: started by mpiexec or torchrun, looked at, and ended."""

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

MPIEXEC = Path(sys.executable).parent / "mpiexec"
LAUNCHER = str(MPIEXEC) if MPIEXEC.exists() else shutil.which("mpiexec")
OPEN_MPI = LAUNCHER is not None and Path(LAUNCHER).with_name("ompi_info").exists()
mpi = pytest.mark.skipif(find_spec("mpi4py") is None or LAUNCHER is None, reason="needs MPI: pip install mpi4py mpich")
gloo = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
TASK = (
    "--task",
    "adding:length=12,samples=64,judged=8",
    "--cell",
    "lstm:hidden=4",
    "--batch",
    "8",
    "--kernels",
    "numpy",
)
LONG = ("--epochs", "100000", "--save-every", "2")
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}


def command(reducer: str, ranks: int, *words: object, plugin: Path | None = None) -> list[str]:
    """Return the command of a training on several ranks, with a reducer such as "mpi:timeout=2"."""
    named = [] if plugin is None else ["--plugin", str(plugin)]
    return launched(reducer, ranks, "-m", "rnnframe", *named, "train", *map(str, words), "--reducer", reducer)


def launched(reducer: str, ranks: int, *words: str) -> list[str]:
    """Return the command that starts a program of Python on several ranks."""
    if reducer.startswith("gloo"):
        return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks), *words]
    return [str(LAUNCHER), "-n", str(ranks), sys.executable, *words]


def train(*words: object) -> None:
    """Train in one process."""
    subprocess.run([sys.executable, "-m", "rnnframe", "train", *map(str, words)], check=True, capture_output=True)


def done(reducer: str, ranks: int, *words: object, plugin: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Train on several ranks to the end of the job."""
    line = command(reducer, ranks, *words, plugin=plugin)
    return subprocess.run(line, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)


def files(run: Path) -> dict[str, bytes]:
    """Return the weights and the checkpoints of a run: parameters, slots, progress, state."""
    return {path.name: path.read_bytes() for path in [run / "weights.safetensors", *run.glob("checkpoints/*")]}


def begun(reducer: str, ranks: int, run: Path, *words: object) -> "subprocess.Popen[str]":
    """Start a job in a session of its own, as from another shell."""
    return subprocess.Popen(
        command(reducer, ranks, *words, "--out", run),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    )


def started(run: Path, ranks: int, *words: object, reducer: str = "mpi", size: int = 2000) -> "subprocess.Popen[str]":
    """Start a long training, and wait until it has trained on some batches: written so many bytes of metrics."""
    job = begun(reducer, ranks, run, *TASK, *LONG, *words)
    while metrics_size(run) < size:
        assert job.poll() is None, job.communicate()
        time.sleep(0.02)
    return job


def metrics_size(run: Path) -> int:
    """Return how many bytes of metrics a run has written."""
    file = run / "metrics.jsonl"
    return file.stat().st_size if file.exists() else 0


def rank_of(job: "subprocess.Popen[str]", rank: int) -> int | None:
    """Return the process of a rank; None where it is not there yet, or no more. The run folder tells a job apart."""
    run = job.args[job.args.index("--out") + 1]
    names = {f"{name}={rank}".encode() for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "RANK")}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes().split(b"\0")
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if names & set(environ) and run.encode() in words and is_running(int(folder.name)):
            return int(folder.name)
    return None


def is_running(process: int) -> bool:
    """Return whether a process still runs. One that has ended but was not waited for (a zombie) does not."""
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
