"""Ranks that are killed, stopped, asked to end, raise or hang: the job ends, and its run goes on with the same bits."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from rank_jobs import (
    ENVIRONMENT,
    LONG,
    OPEN_MPI,
    TASK,
    begun,
    done,
    files,
    gloo,
    is_running,
    launched,
    metrics_size,
    mpi,
    rank_of,
    started,
    train,
)

HOST = os.uname().nodename
WAYWARD = '''
import os, time
import attrs
from rnnframe.plugin import LearningRate, hookimpl

@attrs.frozen(kw_only=True)
class Wayward(LearningRate):
    """What one rank does at one update."""
    name = "wayward"
    rank: int = 1
    deed: str = "raise"

    def decay(self, done, share=None):
        """One, until then."""
        names = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "RANK")
        if done == 10 and any(os.environ.get(name) == str(self.rank) for name in names):
            if self.deed == "raise":
                raise ValueError("no such weather")
            elif self.deed == "hang":
                time.sleep(600)
            else:
                os._exit(7)
        return 1.0

@hookimpl
def rnnframe_learning_rates():
    return [Wayward]
'''
reducers = pytest.mark.parametrize(
    "reducer", [pytest.param("mpi", marks=mpi), pytest.param("gloo", marks=[gloo, pytest.mark.slow])]
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbs, in one process with four shards."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    train(*TASK, "--epochs", 6, "--save-every", 2, "--shards", 4, "--quiet", "--out", run)
    return run


def wait_for_end(process: int, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while is_running(process):  # the launcher may have ended before
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kill_at_a_drawn_moment(draw: random.Random, reducer: str, ranks: int, run: Path, size: int) -> bool:
    """Kill a rank of a training; return whether that ended it. One time of four it is killed while it starts."""
    job = begun(reducer, ranks, run, *TASK, "--epochs", 6, "--save-every", 2, "--shards", 4, "--quiet")
    rank, place = draw.randrange(ranks), draw.choice([0.0, draw.random(), draw.random(), draw.random()])
    while metrics_size(run) < place * size and job.poll() is None:
        time.sleep(0.005)
    while (process := rank_of(job, rank)) is None and job.poll() is None:
        time.sleep(0.005)
    time.sleep(draw.random() * (0.03 if place else 1.0))
    if process is not None:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            process = None
    killed = time.monotonic()
    _, told = job.communicate(timeout=60)
    if process is None or not job.returncode:
        return False
    assert time.monotonic() - killed < 5, told
    for other in range(ranks):
        if (left := rank_of(job, other)) is not None:
            wait_for_end(left)
    return True


def check_that_it_goes_on(run: Path, whole: Path, ranks: int, reducer: str) -> None:
    """Go on with a run that was ended, or begin it again where it was not even begun; the bits are the undisturbed."""
    last = max(path.name for path in whole.glob("checkpoints/*"))
    saved = [path.name for path in run.glob("checkpoints/*.safetensors")]
    words = (*TASK, "--epochs", 6, "--save-every", 2, "--shards", 4, "--quiet", "--out", run, "--force")
    if saved:
        words = ("--resume", run, "--quiet")
    if last in saved:  # killed when all was done
        pass
    elif ranks == 1:
        train(*words)
    else:
        ended = done(reducer, ranks, *words)
        assert ended.returncode == 0, ended.stderr
    assert files(run)["weights.safetensors"] == files(whole)["weights.safetensors"]
    assert arrays(files(run)[last]) == arrays(files(whole)[last])


def arrays(checkpoint: bytes) -> bytes:
    """Return the arrays of a safetensors file, behind its description (which counts the bytes of metrics)."""
    return checkpoint[8 + int.from_bytes(checkpoint[:8], "little") :]


@reducers
def test_a_rank_killed_at_any_moment_ends_the_job_and_the_run_goes_on_with_its_bits(
    reducer: str, whole: Path, tmp_path: Path
) -> None:
    draw, kills, size = random.Random(3), 0, metrics_size(whole)
    for number in range(12):
        run = tmp_path / str(number)
        if kill_at_a_drawn_moment(draw, reducer, 2, run, size):
            kills += 1
            check_that_it_goes_on(run, whole, (4, 1, 2)[kills % 3], reducer)
        if kills == 3:
            return
    raise AssertionError(f"only {kills} of 12 jobs were killed before their end")


@mpi
@pytest.mark.slow
def test_twenty_kills_at_drawn_moments_each_gone_on_with_by_one_two_and_four_ranks(whole: Path, tmp_path: Path) -> None:
    draw, kills, size = random.Random(20), 0, metrics_size(whole)
    for number in range(60):
        run = tmp_path / str(number)
        if kill_at_a_drawn_moment(draw, "mpi", draw.choice([2, 4]), run, size):
            kills += 1
            for ranks in (1, 2, 4):
                copy = tmp_path / f"{number} on {ranks}"
                if run.exists():
                    shutil.copytree(run, copy)
                check_that_it_goes_on(copy, whole, ranks, "mpi")
        if kills == 20:
            return
    raise AssertionError(f"only {kills} of 60 jobs were killed before their end")


@pytest.mark.parametrize(
    ("reducer", "who", "number"),
    [
        pytest.param("mpi", "launcher", signal.SIGINT, marks=[mpi, pytest.mark.slow]),
        pytest.param("mpi", "launcher", signal.SIGTERM, marks=mpi),
        pytest.param("mpi", 0, signal.SIGTERM, marks=[mpi, pytest.mark.slow]),
        pytest.param("mpi", 1, signal.SIGTERM, marks=[mpi, pytest.mark.slow]),
        pytest.param("gloo", "launcher", signal.SIGINT, marks=[gloo, pytest.mark.slow]),
        pytest.param("gloo", "launcher", signal.SIGTERM, marks=[gloo, pytest.mark.slow]),
        pytest.param("gloo", 1, signal.SIGTERM, marks=[gloo, pytest.mark.slow]),
    ],
)
def test_a_signal_stops_all_ranks_after_the_same_batch_with_a_checkpoint(
    reducer: str, who: str | int, number: signal.Signals, tmp_path: Path
) -> None:
    if who == "launcher" and reducer == "mpi" and OPEN_MPI:
        pytest.skip("the mpiexec of Open MPI ends the ranks at once")
    run = tmp_path / "run"
    job = started(run, 2, "--shards", 2, reducer=reducer)
    process = job.pid if who == "launcher" else rank_of(job, who)
    assert process is not None
    os.kill(process, number)
    _, told = job.communicate(timeout=30)
    assert job.returncode == (128 + number if reducer == "mpi" else 1), told  # torchrun's own code
    assert "stopped after epoch" in told
    if reducer == "mpi":
        assert "Traceback" not in told
    batches = sum("gradient_norm" in json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    newest = max(run.glob("checkpoints/*"))
    assert int(newest.stem) == batches
    alone = tmp_path / "alone"
    train(*TASK, *LONG, "--shards", 2, "--stop-after", batches, "--quiet", "--out", alone)
    assert arrays(newest.read_bytes()) == arrays((alone / "checkpoints" / newest.name).read_bytes())


@reducers
@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_stopped_ends_the_job_within_the_timeout_with_a_line_that_names_it(
    reducer: str, rank: int, tmp_path: Path
) -> None:
    job = started(tmp_path / "run", 2, reducer=f"{reducer}:timeout=2")
    stopped = rank_of(job, rank)
    assert stopped is not None
    os.kill(stopped, signal.SIGSTOP)
    begun_at = time.monotonic()
    _, told = job.communicate(timeout=60)
    assert time.monotonic() - begun_at < 2 + 5
    (line,) = [line for line in told.splitlines() if "rnnframe: error" in line]
    assert f"rank {rank} on {HOST} " in line
    assert f" for 2 s ({reducer}:timeout=2)" in line
    assert f"rank {1 - rank} on {HOST} of 2; go on with --resume {tmp_path / 'run'}" in line
    assert job.returncode != 0
    wait_for_end(stopped)


@reducers
@pytest.mark.slow
@pytest.mark.parametrize("deed", ["raise", "hang", "exit"])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_raises_hangs_or_ends_ends_the_job(reducer: str, deed: str, rank: int, tmp_path: Path) -> None:
    plugin = tmp_path / "wayward.py"
    plugin.write_text(WAYWARD)
    words = (*TASK, *LONG, "--rate", f"wayward:rank={rank},deed={deed}", "--out", tmp_path / "run")
    began = time.monotonic()
    ended = done(f"{reducer}:timeout=2", 2, *words, plugin=plugin)
    assert time.monotonic() - began < 40  # with the start; not the 600 s of the sleep
    assert ended.returncode != 0
    lines = [line for line in ended.stderr.splitlines() if "rnnframe: error" in line]
    if deed == "raise":
        (line,) = lines
        assert "ValueError: no such weather" in line
        assert f"rank {rank} on {HOST} of 2; go on with --resume {tmp_path / 'run'}" in line
    elif deed == "hang":
        (line,) = lines
        assert f"rank {rank} on {HOST} " in line
        assert f"rank {1 - rank} on {HOST} of 2" in line
    else:
        assert len(lines) <= 1  # the launcher may see it first
    assert list((tmp_path / "run").glob("checkpoints/*.safetensors"))


@mpi
def test_a_loss_that_is_not_finite_ends_the_job_with_one_line(tmp_path: Path) -> None:
    words = (*TASK, "--optimizer", "sgd:lr=1e30", "--clip", "none", "--out", tmp_path / "run", "--quiet")
    ended = done("mpi", 2, *words)
    lines = [line for line in ended.stderr.splitlines() if "rnnframe: error" in line]
    assert len(lines) == 1, ended.stderr
    assert f"rank 0 on {HOST} of 2; go on with --resume {tmp_path / 'run'}" in lines[0]
    assert ended.returncode == 1


SCRIPT = """
import sys
import rnnframe as rf

group = rf.reducer("{reducer}").open()
if group.rank == 1:
    {deed}
group.gather(1)
group.close()
"""


@reducers
@pytest.mark.slow
@pytest.mark.parametrize("deed", ["sys.exit(0)", "raise ValueError('no such weather')"])
def test_a_script_that_ends_without_closing_its_group_ends_the_job(reducer: str, deed: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(reducer=reducer, deed=deed))
    line = launched(reducer, 2, str(script))
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert ended.returncode != 0
    assert ended.stderr.count(f"rnnframe: rank 1 on {HOST} ends the job of 2 ranks: it has not closed its group") == 1
    assert ended.stderr.count("ValueError: no such weather") == deed.count("weather")
