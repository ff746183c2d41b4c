"""Real processes under MPI and under torch.distributed: the bits of one process."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rank_jobs import TASK, done, files, gloo, mpi, train

from rnnframe.cli.ranks import check_alone
from rnnframe.errors import UsageError


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
