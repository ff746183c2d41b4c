import os
import stat
import sys
from pathlib import Path

import pytest

from .conftest import TEXT, Run

WRONG = [
    (("trian",), 2, "unknown command 'trian'; did you mean 'train'?"),
    (("train", "--sore", "x"), 2, "rnnframe train has no option '--sore'; did you mean --store?"),
    (("train", "--store", "full-histroy"), 2, "unknown store 'full-histroy'; did you mean 'full-history'?"),
    (
        ("train", "--store", "checkpoint:slot=3"),
        2,
        "'slot'; did you mean 'slots'? (known: budget, keep, medium, policy, slots)",
    ),
    (("train", "--store", "checkpoint:slots=0"), 2, "store 'checkpoint': 'slots' must be >= 1: 0"),
    (("train", "--store", "circular-queue:k1=9,k2=4"), 2, "'k2' must be >= k1=9, or 5 of every 9 losses are lost: 4"),
    (("train", "--store", "checkpoint:slots"), 2, "'slots' is no option; write checkpoint:key=value"),
    (("train", "--cell", "lsmt"), 2, "unknown cell 'lsmt'; did you mean 'lstm'?"),
    (("train", "--cell", "lstm:hidden=many"), 2, "cell 'lstm': hidden=many is invalid; expected integer"),
    (("train", "--cell", "elman:activation=sine"), 2, "expected one of sigmoid, tanh, relu, identity"),
    (("train", "--optimizer", "adam:lr=-1"), 2, "optimizer 'adam': 'lr' must be >= 0: -1.0"),
    (("train", "--rate", "cosin"), 2, "unknown learning rate 'cosin'; did you mean 'cosine'?"),
    (("train", "--batch", "0"), 2, "command 'train': --batch must be >= 1: 0"),
    (("train", "--steps", "ten"), 2, "command 'train': --steps ten is invalid; expected integer"),
    (("train", "--clip", "0"), 2, "command 'train': --clip must be > 0: 0.0"),
    (("train", "--held-out", "1"), 2, "command 'train': --held-out must be < 1: 1.0"),
    (
        ("train", "--dtype", "float16"),
        2,
        "--dtype float16 is invalid; expected one of float32, float64",
    ),
    (("train", "--batch", "9999999"), 2, "batch=9999999 needs at least 19999999 to train on"),
    (
        (
            "train",
            "--force",
        ),
        2,
        "--force replaces the run that --out names; give --out RUN",
    ),
    (("train", "--resume", "nowhere"), 1, "there is no run folder 'nowhere'; make one with `rnnframe train --out`"),
    (
        ("train", "--resume", "nowhere", "--batch", "3"),
        2,
        "leave out --batch (only --epochs and --patience may change)",
    ),
    (("train", "--config", "nowhere.toml"), 1, "cannot read 'nowhere.toml': No such file"),
    (("train", "--data", "nowhere.txt"), 2, "cannot read data file 'nowhere.txt': No such file"),
    (("train", "--data", "none"), 2, "cannot read data file 'none': No such file"),
    (("train", "--data", ""), 2, "cannot read data file ''"),
    (("train", "--resume", "nowhere", "--force"), 2, "leave out --force"),
    (("evaluate",), 1, "no run is named, and there is none under 'runs'"),
    (("evaluate", "nowhere"), 1, "there is no run folder 'nowhere'"),
    (("sample", "nowhere"), 1, "there is no run folder 'nowhere'"),
    (("show", "lstn"), 2, "unknown name 'lstn'; did you mean 'lstm'?"),
]


@pytest.mark.parametrize(("words", "code", "message"), WRONG, ids=[" ".join(words) for words, _, _ in WRONG])
def test_wrong_use_is_one_clear_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ("--out", "made") if words[0] == "train" and not {"--resume", "--force"} & set(words) else ()
    outcome = run(*words, *out)
    assert outcome.code == code
    assert outcome.err.startswith("rnnframe: error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert list(tmp_path.iterdir()) == []


DATA = [
    (b"", "is empty; give a text file"),
    (b"\x7fELF\xff\xfe", "is no UTF-8 text: byte 0xff at offset 4; convert it"),
    (b"some\0text" * 100, "is binary: NUL at offset 4"),
    (b"too short", "has 9 characters, 0 of them held out; batch=4 needs at least 9 to train on and 3 held out"),
    (b"a" * 1000, "has only the character 'a'"),
]


@pytest.mark.parametrize(("data", "message"), DATA, ids=["empty", "binary", "NUL", "short", "one character"])
def test_a_data_file_that_is_no_text_is_refused(
    train: Run, text: Path, tmp_path: Path, data: bytes, message: str
) -> None:
    text.write_bytes(data)
    outcome = train("--out", tmp_path / "run")
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


CONFIGS = [
    ("epoch = 3", 2, "unknown option of configuration {path}: 'epoch'; did you mean 'epochs'?"),
    ("batch = 2.5", 2, "configuration {path}: batch = 2.5 is invalid; expected integer"),
    ('clip = "much"', 2, "configuration {path}: clip = much is invalid; expected number or none"),
    ("batch = = 3", 1, "{path} is no TOML: "),
    ("held-out = 1.5", 2, "configuration {path}: held-out must be < 1: 1.5"),
    ("held_out = 1.5", 2, "configuration {path}: held_out must be < 1: 1.5"),
    ("[train]\nbatch = 3", 2, "unknown option of configuration {path}: 'train'"),
]


@pytest.mark.parametrize(("content", "code", "message"), CONFIGS)
def test_a_wrong_configuration_file_is_refused(run: Run, tmp_path: Path, content: str, code: int, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(content)
    outcome = run("train", "--config", path, "--out", tmp_path / "run")
    assert outcome.code == code
    assert message.format(path=repr(str(path))) in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def contents(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_an_existing_run_is_replaced_only_by_force(train: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train("--out", run)
    before = contents(run)
    refused = train("--out", run, "--seed", 1)
    assert refused.code == 1
    assert "already holds a run; resume it with --resume, or replace it with --force" in refused.err
    assert contents(run) == before
    assert train("--out", run, "--seed", 1, "--force").code == 0
    assert (run / "weights.safetensors").read_bytes() != before["weights.safetensors"]


def test_force_does_not_touch_a_run_when_the_new_options_are_wrong(train: Run, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train("--out", run)
    before = contents(run)
    assert train("--out", run, "--force", "--store", "nothing").code == 2
    assert contents(run) == before


def test_a_folder_with_other_things_in_it_is_never_taken_for_a_run(train: Run, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter").write_text("dear")
    outcome = train("--out", tmp_path / "home", "--force")
    assert outcome.code == 1
    assert "is not empty and holds no run" in outcome.err
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter"]


def test_a_file_in_the_place_of_the_run_folder_is_left_alone(train: Run, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    outcome = train("--out", tmp_path / "run", "--force")
    assert outcome.code == 1
    assert "is a file; give another folder to --out" in outcome.err
    assert (tmp_path / "run").read_text() == "a file"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folders, on Linux")
def test_an_unwritable_place_is_named(train: Run) -> None:
    outcome = train("--out", "/proc/run")
    assert outcome.code == 1
    assert "cannot write run folder '/proc/run'" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission_is_named(train: Run, tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    outcome = train("--out", tmp_path / "run")
    tmp_path.chmod(stat.S_IRWXU)
    assert outcome.code == 1
    assert "Permission denied" in outcome.err


def test_a_loss_that_explodes_names_the_batch_and_leaves_a_run_to_go_on_from(
    train: Run, run: Run, tmp_path: Path
) -> None:
    words = ("--cell", "elman:hidden=8,activation=relu", "--optimizer", "sgd:lr=1e12", "--clip", "none")
    outcome = train("--out", tmp_path / "run", *words)
    assert outcome.code == 1
    assert "epoch 1, batch " in outcome.err
    assert "lower the learning rate" in outcome.err
    assert outcome.err.count("\n") == 1
    assert run("evaluate", tmp_path / "run").code == 0  # the weights of the last checkpoint: the starting values


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "garbage": lambda data: b"\x93NUMPY" + data,
    "pickle": lambda data: b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["checkpoints/00000003.safetensors", "weights.safetensors"])
def test_a_damaged_file_is_named(train: Run, run: Run, tmp_path: Path, name: str, damage: str) -> None:
    folder = tmp_path / "run"
    train("--out", folder, "--stop-after", 3)
    (folder / name).write_bytes(DAMAGES[damage]((folder / name).read_bytes()))
    words = ("train", "--resume") if name.startswith("checkpoint") else ("sample",)
    outcome = run(*words, folder)
    assert outcome.code == 1
    assert f"{str(folder / name)!r} is damaged or no safetensors file" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_run_is_not_resumed_on_another_text(train: Run, run: Run, text: Path, tmp_path: Path) -> None:
    train("--out", tmp_path / "run", "--stop-after", 3)
    text.write_text(TEXT.replace("fox", "cat"))
    outcome = run("train", "--resume", tmp_path / "run")
    assert outcome.code == 1
    assert "has changed since" in outcome.err or "expected" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_character_that_the_model_has_never_seen_is_told(train: Run, run: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "run", "--epochs", 1)
    outcome = run("sample", tmp_path / "run", "--prime", "fox €")
    assert outcome.code == 0
    assert "1 symbol of it is not in the training text and read as unknown" in outcome.err
    assert "€" not in outcome.out


def test_a_traceback_is_shown_only_where_it_is_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNFRAME_TRACEBACK", "1")
    with pytest.raises(Exception, match="unknown name 'nothing'"):
        run("show", "nothing")


def test_the_held_out_part_of_another_text_is_not_taken_for_the_runs_own(
    train: Run, run: Run, text: Path, tmp_path: Path
) -> None:
    train("--out", tmp_path / "run", "--epochs", 1)
    text.write_text(TEXT.replace("fox", "cow"))
    outcome = run("evaluate", tmp_path / "run")
    assert outcome.code == 1
    assert "has changed since the run was made; evaluate all of a file with --data FILE" in outcome.err


def test_a_configuration_of_something_else_is_not_taken_for_a_run(train: Run, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.toml").write_text("precious")
    outcome = train("--out", tmp_path / "project", "--force")
    assert outcome.code == 1
    assert "is not empty and holds no run" in outcome.err
    assert (tmp_path / "project" / "config.toml").read_text() == "precious"


def test_metrics_that_are_shorter_than_the_checkpoint_knows_are_named(train: Run, run: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "run", "--stop-after", 5)
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    outcome = run("train", "--resume", tmp_path / "run")
    assert outcome.code == 1
    assert "metrics.jsonl': it has 0 bytes, at the last checkpoint " in outcome.err


def test_an_error_that_nobody_foresaw_is_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by a plugin")

    monkeypatch.setattr("rnnframe.cli.plugins.print_table", fail)
    outcome = run("plugins")
    assert outcome.code == 1
    assert outcome.err == "rnnframe: error: ZeroDivisionError: by a plugin (RNNFRAME_TRACEBACK=1 shows where)\n"
