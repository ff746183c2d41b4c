"""`rnnframe new`; tests/test_distributions.py installs what it writes."""

import re
from pathlib import Path

import pytest

import rnnframe
from rnnframe.cli.new import COMMANDS

from .conftest import Run

WRONG = [
    ("cel", "mine", f"unknown kind 'cel'; did you mean 'cell'? (known: {', '.join(COMMANDS)})"),
    ("layer", "dropout", f"layer 'dropout' is already provided by plugin 'layers' of rnnframe {rnnframe.__version__};"),
    ("cell", "lstm", f"cell 'lstm' is already provided by plugin 'cells' of rnnframe {rnnframe.__version__}; choose"),
    ("cell", "disk", "'disk' would make a module 'rnnframe_disk', and there is one; choose another name"),
    ("cell", "rnnframe-mine", "the distribution is called rnnframe-NAME anyway; write 'mine'"),
    ("cell", "iterable", "'iterable' would make a class 'Iterable', which means another thing there; choose another"),
    ("medium", "none", "'none' would make a class 'None', which means another thing there; choose another name"),
    *(
        ("cell", name, f"{name!r} cannot name a plugin and its distribution; use small letters, digits and single")
        for name in (
            "",
            "My-Cell",
            "my_cell",
            "my cell",
            "2gates",
            "-mine",
            "mine-",
            "my--cell",
            "a/b",
            "..",
            "zellé",
            "x\n",
        )
    ),
]


@pytest.mark.parametrize(("kind", "name", "message"), WRONG)
def test_a_name_that_cannot_be_or_is_taken_is_one_clear_line(
    run: Run, tmp_path: Path, kind: str, name: str, message: str
) -> None:
    outcome = run("new", "--into", tmp_path, kind, "--", name)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"rnnframe: error: {message}")
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_another_kind_is_free(run: Run, tmp_path: Path) -> None:
    assert run("new", "cell", "adam", "--into", tmp_path).code == 0


@pytest.mark.parametrize("there", ["a folder", "an empty folder", "a file", "a link to nowhere"])
def test_what_is_there_is_never_written_over(run: Run, tmp_path: Path, there: str) -> None:
    path = tmp_path / "rnnframe-mine"
    if "folder" in there:
        path.mkdir()
        if there == "a folder":
            (path / "README.md").write_text("mine")
    elif there == "a file":
        path.write_text("mine")
    else:
        path.symlink_to("nowhere")
    before = {file: file.lstat() for file in tmp_path.rglob("*")}
    outcome = run("new", "cell", "mine", "--into", tmp_path)
    assert outcome.code == 2
    assert outcome.err == (
        f"rnnframe: error: '{path}' is there already; choose another name, or another folder with --into\n"
    )
    assert {file: file.lstat() for file in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("where", ["nowhere", "file"])
def test_a_folder_to_write_into_that_is_none_is_told(run: Run, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    outcome = run("new", "cell", "mine", "--into", tmp_path / where)
    assert outcome.code == 2
    assert outcome.err == (
        f"rnnframe: error: there is no folder '{tmp_path / where}'; make it, or give another with --into\n"
    )


@pytest.mark.parametrize("letters", [246, 300], ids=["of the module", "of the folder"])
def test_nothing_is_left_half_written(run: Run, tmp_path: Path, letters: int) -> None:
    # given a name with which the folder can be made and the first files, and then the module's name is too long
    name = "a" * letters
    outcome = run("new", "cell", name, "--into", tmp_path)
    assert outcome.code == 1
    assert outcome.err == f"rnnframe: error: cannot write '{tmp_path}/rnnframe-{name}': File name too long\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", COMMANDS)
def test_every_file_is_written_in_the_words_of_the_author(run: Run, tmp_path: Path, kind: str) -> None:
    outcome = run("new", kind, "two-words", "--into", tmp_path)
    assert (outcome.code, outcome.err) == (0, "")
    folder = tmp_path / "rnnframe-two-words"
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.*")}
    assert set(files) == {"pyproject.toml", "README.md", "rnnframe_two_words.py", "tests/test_two_words.py"}
    for name, text in files.items():
        assert not re.search(r"\b([Ee]xample|KIND|COMMAND|NEEDS)\b", text), name
        if name.endswith(".py"):
            compile(text, name, "exec")
    assert re.search(r"^class TwoWords\(", files["rnnframe_two_words.py"], re.MULTILINE)
    assert oct(folder.stat().st_mode) == oct((folder / "tests").stat().st_mode)


def test_a_place_with_a_space_is_quoted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my plugins").mkdir()
    monkeypatch.chdir(tmp_path)
    printed = run("new", "store", "mine", "--into", "my plugins").out
    assert "    pytest './my plugins/rnnframe-mine'\n" in printed
