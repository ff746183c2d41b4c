import json
import shutil
from pathlib import Path

import pytest

from .conftest import Run
from .test_stopping import of_kind


def test_the_best_weights_the_last_and_those_of_any_checkpoint_can_be_used(
    train: Run, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    words = ("--optimizer", "adam:lr=0.3", "--rate", "constant", "--epochs", 50, "--patience", 2, "--keep", 4)
    train("--out", folder, *words)
    losses = {epoch["epoch"]: epoch["valid_loss"] for epoch in of_kind(folder, "epoch")}
    numbers = [int(path.stem) for path in sorted((folder / "checkpoints").iterdir())][-3:]
    per_epoch = numbers[-1] // len(losses)

    def judged(*more: object) -> float:
        return json.loads(run("evaluate", folder, "--json", *more).out)["loss"]

    assert judged() == judged("--checkpoint", "best") == min(losses.values())
    assert judged("--checkpoint", "last") == losses[len(losses)] > min(losses.values())
    assert [judged("--checkpoint", number) for number in numbers] == [losses[n // per_epoch] for n in numbers]
    assert run("sample", folder, "--checkpoint", "last").out != run("sample", folder).out


@pytest.mark.parametrize("command", ["evaluate", "sample"])
def test_a_checkpoint_that_there_is_not_is_named(train: Run, run: Run, tmp_path: Path, command: str) -> None:
    train("--out", tmp_path / "run", "--stop-after", 3)
    outcome = run(command, tmp_path / "run", "--checkpoint", "../3")
    assert outcome.code == 2
    assert "checkpoint=../3 is invalid; expected best, last or a number (there: 0, 3)" in outcome.err


def test_the_best_weights_are_judged_before_there_is_a_checkpoint(
    train: Run, run: Run, text: Path, tmp_path: Path
) -> None:
    """As by someone who looks at a training that has just written its first weights."""
    train("--out", tmp_path / "run", "--epochs", 1)
    before = run("evaluate", tmp_path / "run").out
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    assert run("evaluate", tmp_path / "run").out == before
    text.write_text(text.read_text().replace("fox", "cow"))
    assert "has changed since the run was made" in run("evaluate", tmp_path / "run").err
