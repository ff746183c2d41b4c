"""Real processes under MPI and under torch.distributed: the bits of one process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rank_jobs import ENVIRONMENT, TASK, done, files, gloo, launched, mpi, train

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


@pytest.mark.slow
@pytest.mark.parametrize("reducer", [pytest.param("mpi", marks=mpi), pytest.param("gloo", marks=gloo)])
@pytest.mark.parametrize("ranks", [2, 3, 4, 5])
def test_every_cell_and_store_has_the_bits_of_one_process_over_real_messages(reducer: str, ranks: int) -> None:
    compare(reducer, ranks)


@mpi
@pytest.mark.parametrize("ranks", [2, 3])
def test_some_cells_and_stores_have_them_in_the_usual_run(ranks: int) -> None:
    compare("mpi", ranks, "small")


def compare(reducer: str, ranks: int, *part: str) -> None:
    line = launched(reducer, ranks, str(Path(__file__).with_name("rank_matrix.py")), reducer, *part)
    ended = subprocess.run(line, capture_output=True, text=True, env=ENVIRONMENT)
    assert ended.returncode == 0, ended.stderr
    assert "have the bits of one process" in ended.stdout


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


@mpi
def test_processes_of_which_mpi_knows_nothing_are_refused() -> None:
    line = [sys.executable, "-m", "rnnframe", "train", *TASK, "--no-out", "--reducer", "mpi"]
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PMI", "OMPI", "SLURM"))}
    ended = subprocess.run(line, capture_output=True, text=True, env={**alone, "SLURM_STEP_NUM_TASKS": "8"})
    assert ended.returncode == 2
    assert "8 processes were started (SLURM_STEP_NUM_TASKS), and MPI sees each as the only one" in ended.stderr


def test_importing_and_help_load_no_library_of_messages() -> None:
    code = (
        "import sys, rnnframe as rf; rf.reducer('mpi'); rf.reducer('gloo')\n"
        "assert not {'mpi4py', 'mpi4py.MPI', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
