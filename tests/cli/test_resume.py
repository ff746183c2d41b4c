import json
import re
import signal
import time
from pathlib import Path

import pytest

from rnnframe.engine import blas
from rnnframe.runs.folder import RunFolder

from .conftest import TEXT, Run, started

TRAINED = len(TEXT) - len(TEXT) // 10
BATCHES = -(-((TRAINED - 1) // 4) // 16)  # of one epoch in four streams, 16 characters at a time


def lines(run: Path) -> list[dict]:
    """Return the metrics without what tells of the process, not of the training."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in record.items() if key not in ("steps_per_second", "seconds", "peak_bytes")}
        for record in records
    ]


PARTS = ("number", "best", "arrays", "progress")


def last(run: Path) -> tuple:
    """Return what the newest checkpoint holds, but for the length of the metrics."""
    checkpoint = RunFolder.open(run).load()
    arrays = {group: {name: a.tobytes() for name, a in arrays.items()} for group, arrays in checkpoint.groups.items()}
    progress = {key: value for key, value in checkpoint.progress.items() if key != "metrics_size"}
    return checkpoint.number, checkpoint.best, arrays, progress


def same(a: Path, b: Path) -> bool:
    """Return whether two runs have equal bits; what is not equal is printed, for pytest to show."""
    weights = [(run / "weights.safetensors").read_bytes() for run in (a, b)]
    found = {
        "metrics": (lines(a), lines(b)),
        **{
            f"{part} of the checkpoint": pair
            for part, pair in zip(PARTS, zip(last(a), last(b), strict=True), strict=True)
        },
        "weights": (weights[0], weights[1]),
    }
    other = {what: pair for what, pair in found.items() if pair[0] != pair[1]}
    for what, pair in other.items():
        print(
            f"other {what}:", *(f"    {run}: {each!r:.2000}" for run, each in zip((a, b), pair, strict=True)), sep="\n"
        )
    return not other


@pytest.mark.parametrize("stop", [1, 17, BATCHES - 1, BATCHES, BATCHES + 1, 2 * BATCHES - 1])
@pytest.mark.parametrize(
    "words",
    [
        ("--optimizer", "adam:lr=1e-2", "--rate", "cosine:warmup=9", "--clip", "0.05"),
        ("--optimizer", "sgd:lr=0.5,momentum=0.9", "--store", "circular-queue:k1=5,k2=12,weights=stored"),
        ("--optimizer", "muon:lr=0.01", "--freeze", "layer0.U", "--accumulate", "2", "--average", "ema:decay=0.9"),
        (
            "--optimizer",
            "adamw:lr=1e-2",
            "--freeze",
            "layer0.U",
            "--group",
            "head.*:lr=0.1,decay=1",
            "--group",
            "*.b:lr=2",
        ),
        ("--cell", "lstm:hidden=4", "--optimizer", "rmsprop", "--store", "checkpoint:slots=2", "--chunk", "4"),
    ],
    ids=["adam", "circular-queue", "muon-frozen", "adamw-groups", "stacked-checkpoint"],
)
def test_a_run_that_was_stopped_at_any_batch_goes_on_bit_for_bit(
    train: Run, run: Run, tmp_path: Path, stop: int, words: tuple[str, ...]
) -> None:
    train("--out", tmp_path / "whole", *words)
    assert len([record for record in lines(tmp_path / "whole") if record["kind"] == "batch"]) == 2 * BATCHES
    stopped = train("--out", tmp_path / "run", "--stop-after", stop, *words)
    assert stopped.code == 0
    assert f"go on with: rnnframe train --resume {tmp_path / 'run'}" in stopped.err
    assert run("train", "--resume", tmp_path / "run", "--quiet").code == 0
    assert same(tmp_path / "run", tmp_path / "whole")


def test_a_run_whose_configuration_names_no_groups_goes_on(train: Run, run: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "whole", "--optimizer", "adam:lr=1e-2")
    train("--out", tmp_path / "run", "--optimizer", "adam:lr=1e-2", "--stop-after", 5)
    config = tmp_path / "run" / "config.toml"
    lines = config.read_text().splitlines(keepends=True)
    older = [line for line in lines if not line.startswith(("freeze", "group"))]
    assert len(lines) - len(older) == 2
    config.write_text("".join(older))
    assert run("train", "--resume", tmp_path / "run", "--quiet").code == 0
    assert same(tmp_path / "run", tmp_path / "whole")


def test_a_run_survives_many_stops(train: Run, run: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "whole")
    train("--out", tmp_path / "run", "--stop-after", 7)
    while run("train", "--resume", tmp_path / "run", "--stop-after", 13, "--quiet").err:
        pass
    assert same(tmp_path / "run", tmp_path / "whole")


def test_metrics_written_after_the_last_checkpoint_are_not_counted_twice(train: Run, run: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "whole")
    train("--out", tmp_path / "run", "--stop-after", 20)
    with open(tmp_path / "run" / "metrics.jsonl", "a") as file:  # as a run leaves it that was killed later on
        file.write('{"kind": "batch", "epoch": 1, "batch": 21, "upd')
    run("train", "--resume", tmp_path / "run", "--quiet")
    assert same(tmp_path / "run", tmp_path / "whole")


def test_a_finished_run_can_be_trained_longer(train: Run, run: Run, tmp_path: Path) -> None:
    constant = ("--rate", "constant")
    train("--out", tmp_path / "whole", "--epochs", 3, *constant)
    train("--out", tmp_path / "run", "--epochs", 1, *constant)
    refused = run("train", "--resume", tmp_path / "run")
    assert refused.code == 2
    assert "has finished its 1 epochs; give a larger --epochs" in refused.err
    assert run("train", "--resume", tmp_path / "run", "--epochs", 3, "--quiet").code == 0
    assert same(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_batch_and_leaves_a_run_that_goes_on_bit_for_bit(
    train: Run, run: Run, text: Path, tmp_path: Path, number: int, code: int
) -> None:
    words = ("--cell", "elman:hidden=8", "--batch", 4, "--steps", 16, "--quiet", "--rate", "constant")
    process = started("train", "--data", text, *words, "--epochs", 100_000, "--out", tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    until = time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert err.startswith("stopped after epoch ")
    done = [record for record in lines(tmp_path / "run") if record["kind"] == "batch"]
    epochs = done[-1]["epoch"] + 1
    assert run("train", "--resume", tmp_path / "run", "--epochs", epochs, "--quiet").code == 0
    train("--out", tmp_path / "whole", "--epochs", epochs, "--rate", "constant")
    assert same(tmp_path / "run", tmp_path / "whole")


def test_a_run_without_clipping_is_resumed_without_clipping(train: Run, run: Run, tmp_path: Path) -> None:
    words = ("--clip", "none", "--optimizer", "sgd:lr=40", "--embedding-std", 6)
    train("--out", tmp_path / "whole", *words)
    norms = [record["gradient_norm"] for record in lines(tmp_path / "whole") if record["kind"] == "batch"]
    assert max(norms[3:]) > 1  # the default would clip
    train("--out", tmp_path / "run", "--stop-after", 3, *words)
    run("train", "--resume", tmp_path / "run", "--quiet")
    assert same(tmp_path / "run", tmp_path / "whole")


def test_a_run_that_goes_on_with_another_blas_kernel_says_so(
    run: Run, train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = blas.kernel()
    if not kernel:
        pytest.skip("this numpy does not bring its own OpenBLAS")
    assert re.fullmatch(r"OpenBLAS \S+ \w+", kernel)
    train("--out", tmp_path / "run", "--stop-after", 2)
    again = run("train", "--resume", tmp_path / "run", "--quiet", "--stop-after", 1)
    assert "last bits" not in again.err
    monkeypatch.setattr(blas, "kernel", lambda: "OpenBLAS 0.1 Katmai")
    told = run("train", "--resume", tmp_path / "run", "--quiet", "--stop-after", 1).err
    assert f"was computed with {kernel}, and here is OpenBLAS 0.1 Katmai" in told
