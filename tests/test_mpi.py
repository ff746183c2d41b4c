"""Real processes under MPI and under torch.distributed: the bits of one process, and no job that is left hanging."""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from rnnframe.cli.ranks import check_alone
from rnnframe.errors import UsageError

MPIEXEC = Path(sys.executable).parent / "mpiexec"
LAUNCHER = str(MPIEXEC) if MPIEXEC.exists() else shutil.which("mpiexec")
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
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def command(launcher: str, ranks: int, *words: object) -> list[str]:
    rnnframe = ["-m", "rnnframe", "train", *map(str, words)]
    if launcher == "gloo":
        started = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
        return [*started, *rnnframe, "--reducer", "gloo"]
    return [LAUNCHER, "-n", str(ranks), sys.executable, *rnnframe, "--reducer", launcher]


def train(*words: object) -> None:
    """Train in one process."""
    subprocess.run([sys.executable, "-m", "rnnframe", "train", *map(str, words)], check=True, capture_output=True)


def done(launcher: str, ranks: int, *words: object) -> subprocess.CompletedProcess[str]:
    line = command(launcher, ranks, *words)
    return subprocess.run(line, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)


def files(run: Path) -> dict[str, bytes]:
    """Return the weights and the checkpoints of a run: parameters, slots, progress, state."""
    return {path.name: path.read_bytes() for path in [run / "weights.safetensors", *run.glob("checkpoints/*")]}


def started(run: Path, ranks: int, *words: object, reducer: str = "mpi") -> "subprocess.Popen[str]":
    """Start a long training, and wait until it has trained on some batches."""
    line = command(reducer, ranks, *TASK, *LONG, "--out", run, *words)
    job = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True
    )
    while not (run / "metrics.jsonl").exists() or (run / "metrics.jsonl").stat().st_size < 2000:
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    return job


def rank_of(job: "subprocess.Popen[str]", rank: int) -> int:
    """Return the process of a rank: the run folder on its command line tells it apart."""
    run = job.args[job.args.index("--out") + 1]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes().split(b"\0")
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"PMI_RANK={rank}".encode() in environ and run.encode() in words:
            return int(folder.name)
    raise AssertionError("no such rank")


def is_running(process: int) -> bool:
    """Return whether a process still runs. One that has ended but was not waited for (a zombie) does not."""
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    "launcher", [pytest.param("mpi", marks=mpi), pytest.param("gloo", marks=(gloo, pytest.mark.slow))]
)
def test_a_training_on_two_processes_has_the_bits_of_one(launcher: str, tmp_path: Path) -> None:
    words = (*TASK, "--epochs", 2, "--shards", 4, "--quiet")
    train(*words, "--out", tmp_path / "one")
    ended = done(launcher, 2, *words, "--out", tmp_path / "two")
    assert ended.returncode == 0, ended.stderr
    assert files(tmp_path / "one").keys() == files(tmp_path / "two").keys()
    weights = [(tmp_path / run / "weights.safetensors").read_bytes() for run in ("one", "two")]
    assert weights[0] == weights[1]


@mpi
@pytest.mark.slow
def test_a_run_that_was_stopped_on_two_ranks_goes_on_anywhere_with_the_same_bits(tmp_path: Path) -> None:
    words = (*TASK, "--epochs", 3, "--shards", 4, "--quiet")
    train(*words, "--out", tmp_path / "one")
    assert done("mpi", 2, *words, "--stop-after", 5, "--out", tmp_path / "two").returncode == 0
    shutil.copytree(tmp_path / "two", tmp_path / "alone")
    assert done("mpi", 4, "--resume", tmp_path / "two", "--quiet").returncode == 0
    train("--resume", tmp_path / "alone", "--quiet")
    for run in ("two", "alone"):
        assert (tmp_path / run / "weights.safetensors").read_bytes() == files(tmp_path / "one")["weights.safetensors"]


@mpi
@pytest.mark.slow
def test_ctrl_c_stops_all_ranks_after_the_same_batch_with_a_checkpoint(tmp_path: Path) -> None:
    job = started(tmp_path / "run", 2)
    os.kill(job.pid, signal.SIGINT)
    _, told = job.communicate(timeout=30)
    assert job.returncode == 130, told
    assert "Traceback" not in told
    train("--resume", tmp_path / "run", "--stop-after", 1, "--quiet")


@mpi
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_rank_that_is_killed_ends_the_job_and_leaves_a_checkpoint(rank: int, tmp_path: Path) -> None:
    job = started(tmp_path / "run", 2)
    os.kill(rank_of(job, rank), signal.SIGKILL)
    begun = time.monotonic()
    _, told = job.communicate(timeout=30)
    assert time.monotonic() - begun < 5
    assert job.returncode != 0
    assert f"rnnframe: 2 ranks train together; if a process is killed, go on with --resume {tmp_path / 'run'}" in told
    train("--resume", tmp_path / "run", "--stop-after", 1, "--quiet")


@mpi
@pytest.mark.slow
def test_a_rank_that_hangs_ends_the_job_within_the_timeout_with_a_line_that_names_it(tmp_path: Path) -> None:
    job = started(tmp_path / "run", 2, reducer="mpi:timeout=2")
    hung = rank_of(job, 1)
    os.kill(hung, signal.SIGSTOP)
    begun = time.monotonic()
    _, told = job.communicate(timeout=30)
    assert time.monotonic() - begun < 7
    (line,) = [line for line in told.splitlines() if line.startswith("rnnframe: error")]
    assert "rank 1 on " in line
    assert "did not answer for 2 s (mpi:timeout=2)" in line
    assert f"rank 0 on {os.uname().nodename} of 2; go on with --resume {tmp_path / 'run'}" in line
    assert job.returncode == 1
    deadline = time.monotonic() + 5
    while is_running(hung):  # the launcher ends it
        assert time.monotonic() < deadline
        time.sleep(0.05)


@mpi
def test_a_loss_that_is_not_finite_ends_the_job_with_one_line(tmp_path: Path) -> None:
    words = (*TASK, "--optimizer", "sgd:lr=1e30", "--clip", "none", "--out", tmp_path / "run", "--quiet")
    ended = done("mpi", 2, *words)
    lines = [line for line in ended.stderr.splitlines() if "error" in line]
    assert len(lines) == 1, ended.stderr
    assert f"rank 0 on {os.uname().nodename} of 2; go on with --resume {tmp_path / 'run'}" in lines[0]
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("environ", "reducer"),
    [
        ({"PMI_SIZE": "2"}, "mpi"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, "mpi"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "gloo"),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8"}, "mpi"),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),  # a batch script, one process
        ({"PMI_SIZE": "1", "WORLD_SIZE": "1"}, None),
        ({}, None),
    ],
)
def test_several_processes_without_a_reducer_are_refused(environ: dict[str, str], reducer: str | None) -> None:
    if reducer is None:
        check_alone(environ)
        return
    with pytest.raises(UsageError, match=f"would train by itself; give --reducer {reducer} to train"):
        check_alone(environ)


def test_importing_and_help_load_no_library_of_messages() -> None:
    code = (
        "import sys, rnnframe as rf; rf.reducer('mpi'); rf.reducer('gloo')\n"
        "assert not {'mpi4py', 'mpi4py.MPI', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
