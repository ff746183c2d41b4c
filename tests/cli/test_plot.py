"""`--plot FILE` of plan, compare and explain."""

import json
import sys
from pathlib import Path

import pytest

from .conftest import Run

SMALL = ("--cell", "gru:hidden=4", "--inputs", 3, "--batch", 4, "--steps", 60)
COMMANDS = {
    "plan": ("plan", *SMALL),
    "compare": ("compare", *SMALL, "--store", "checkpoint"),
    "explain": ("explain", "gru"),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_a_command_prints_what_it_prints_and_draws_a_picture(run: Run, tmp_path: Path, name: str, ending: str) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / f"{name}{ending}"
    outcome = run(*COMMANDS[name], "--json", "--plot", file)
    assert (outcome.code, outcome.err) == (0, "")
    assert json.loads(outcome.out)
    assert file.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ((), "checkpoint"),
        (("--store", "full-history"), "full-history"),
        (("--budget", "30KiB"), "auto:budget=30KiB"),
        (("--budget", "30KiB", "--draw", "circular-queue:k1=10,k2=20"), "circular-queue:k1=10,k2=20"),
    ],
)
def test_the_drawn_schedule_is_the_one_asked_for(
    run: Run, tmp_path: Path, words: tuple[str, ...], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    from rnnframe.cli import plan_picture
    from rnnframe.drawing.style import save

    titles = []

    def remember(figure, path):
        titles.extend(text.get_text().replace("\n", "") for text in figure.texts)
        save(figure, path)

    monkeypatch.setattr(plan_picture, "save", remember)
    assert run("plan", *SMALL, *words, "--plot", tmp_path / "plan.png").code == 0
    (planned,) = json.loads(run("plan", *SMALL, "--store", shown, "--json").out)["plans"]
    assert f"Schedule of {planned['store']}" in titles


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("plan.pdf", "is not a picture; give a file that ends in .png or .svg"),
        ("nowhere/plan.png", "make it first"),
        ("folder.svg", "is a folder; give a file in it"),
    ],
)
def test_a_file_that_cannot_be_is_refused_before_anything_is_computed(
    run: Run, tmp_path: Path, name: str, file: str, message: str
) -> None:
    (tmp_path / "folder.svg").mkdir()
    outcome = run(*COMMANDS[name], "--plot", tmp_path / file)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_without_matplotlib_the_line_names_the_command_to_run(
    run: Run, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = run(*COMMANDS[name], "--plot", tmp_path / "picture.png")
    assert outcome.code == 2
    assert outcome.err == (
        'rnnframe: error: --plot draws with matplotlib, which is not installed; run: pip install "rnnframe[plot]"\n'
    )
    assert outcome.out == ""


def test_a_store_to_draw_needs_a_picture(run: Run) -> None:
    outcome = run("plan", *SMALL, "--draw", "checkpoint")
    assert outcome.code == 2
    assert "--draw names the schedule in a picture; give --plot FILE too" in outcome.err
