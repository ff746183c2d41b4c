"""Damaged run folders, configurations and data files: one clear line each, nothing run, nothing outside touched."""

import hashlib
import io
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from rnnframe.cli import main
from rnnframe.registry.registry import Registry, using

from .damage import Boobytrap, damage, trap
from .guard import guarded

pytestmark = pytest.mark.skipif(os.name != "posix", reason="makes links and pipes as POSIX has them")

TEXT = "".join(f"{n}: the quick brown fox jumps over the lazy dog.\n" for n in range(12))
SMALL = ("--cell", "elman:hidden=4", "--batch", "2", "--steps", "16", "--epochs", "3", "--quiet", "--save-every", "2")
SMALL += ("--kernels", "numpy")
ONE_LINE = 1500  # characters; a line that lists all known names is long


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data file, a configuration and a run that has been stopped."""
    return lay_out(tmp_path_factory.mktemp("whole"))


def lay_out(folder: Path) -> Path:
    (folder / "text.txt").write_text(TEXT)
    write_data(folder)
    words = ("train", "--data", folder / "text.txt", *SMALL, "--stop-after", 19, "--out", folder / "run")
    assert typed(*words)[0] == 0
    shutil.copy(folder / "run" / "config.toml", folder / "options.toml")
    return folder


def write_data(folder: Path) -> None:
    """Write a small file for each task that reads one."""
    rng = np.random.default_rng(0)
    rows = [f"day{n},{n % 7},{x:.3f}" for n, x in enumerate(rng.normal(size=90))]
    (folder / "series.csv").write_text("\n".join(["date,weekday,price", *rows]) + "\n")
    x, lengths = rng.normal(size=(12, 9, 2)), np.array([9, 5, 7] * 4)
    np.savez(folder / "samples.npz", x=x, y=np.arange(12) % 2, lengths=lengths)
    np.savez(folder / "rolls.npz", x=(x > 0).astype(np.uint8), lengths=lengths)
    cases = [":".join(",".join(f"{v:.2f}" for v in channel) for channel in one.T) for one in x]
    head = "@problemName a\n@timeStamps false\n@univariate false\n@classLabel true up down\n@data\n"
    lines = [f"{case}:{['up', 'down'][n % 2]}" for n, case in enumerate(cases)]
    (folder / "samples.ts").write_text(head + "\n".join(lines) + "\n")


def typed(*words: object) -> tuple[int, str]:
    """Type a command; return the exit code and what stands on stderr."""
    before, err = sys.argv, io.StringIO()
    sys.argv = ["rnnframe", *map(str, words)]
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(err), pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = before
    assert isinstance(stop.value.code, int)
    return stop.value.code, err.getvalue()


@contextmanager
def in_time(seconds: int) -> Iterator[None]:
    """End what hangs: seconds are ample for work that takes milliseconds."""

    def late(_: int, __: FrameType | None) -> None:
        raise AssertionError(f"still at work after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def seen(folder: Path) -> dict[str, tuple[int, str]]:
    """Return what lies in a folder: names, modes, and contents by their digests."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found[str(path.relative_to(folder))] = (about.st_mode, content)
    return found


RUN = ("run/*", "run/checkpoints/*", "run/checkpoints/00000019*", "run/config.toml")


def commands(box: Path) -> list[tuple[tuple[object, ...], tuple[str, ...]]]:
    """Return commands with the files of the box that they read; what they write is in box/run or box/new."""
    run, text, quick = box / "run", box / "text.txt", ("--stop-after", 3, "--quiet", "--sample", 5)
    other = ("--cell", "gru:hidden=3", "--batch", 2, "--epochs", 1, "--kernels", "numpy", *quick, "--out", box / "new")
    steps = ("--steps", 16)
    tasks = {
        "series.csv": "forecast:horizon=2",
        "samples.ts": "classify",
        "samples.npz": "classify",
        "rolls.npz": "rolls",
    }
    return [
        *(
            (("train", "--task", task, "--data", box / file, *other, *(steps if file == "series.csv" else ())), (file,))
            for file, task in tasks.items()
        ),
        (("report", run), ("run/metrics.jsonl", "run/*")),
        (("evaluate", run, "--checkpoint", "last"), RUN),
        (("train", "--resume", run, *quick), RUN),
        (("train", "--resume", run, *quick), RUN),
        (("train", "--resume", run, *quick), RUN),
        (("evaluate", run), ("run/*", "run/config.toml", "run/weights.safetensors")),
        (("sample", run, "--length", 3), ("run/*", "run/config.toml", "run/weights.safetensors")),
        (("train", "--out", run, "--force", "--data", text, *SMALL, *quick), ("run/*", "run/checkpoints/*")),
        (("train", "--config", box / "options.toml", "--out", box / "new", *quick), ("options.toml",)),
        (("train", "--data", text, *SMALL, *quick, "--out", box / "new"), ("text.txt",)),
        (("evaluate", run, "--data", text), ("text.txt",)),
        (("predict", run, "--data", text, "--out", box / "new.csv"), ("text.txt", "run/weights.safetensors")),
    ]


def try_case(number: int, whole: Path, place: Path) -> tuple[str, int]:
    """Damage a copy of a folder, use it, and check what came of it; return the command and its exit code."""
    rng = np.random.default_rng(number)
    box, outside = place / "box", place / "outside"
    for folder in (box, outside):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, box)
    outside.mkdir()
    (outside / "letter").write_text("dear")
    for name in ("run/config.toml", "options.toml"):
        (box / name).write_text((box / name).read_text().replace(str(whole), str(box)))
    words, reads = commands(box)[rng.integers(len(commands(box)))]
    done = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        files = sorted(path for path in box.glob(str(rng.choice(reads))) if path.is_file() and not path.is_symlink())
        if not files:
            continue
        file = files[rng.integers(len(files))]
        try:
            done.append(f"{file.relative_to(box)}: {damage(file, outside, rng)}")
        except Exception:  # it was damaged already, so that its format cannot be read
            continue
    story = f"case {number}: {done}, then {' '.join(map(str, words[:2]))}"
    kept = {name: seen(place / name) for name in ("outside", "box")}
    with guarded(box) as touched, in_time(20):
        try:
            code, err = typed(*words)
        except BaseException as error:
            raise AssertionError(f"{story}: {error!r}") from error
    assert touched == [], f"{story}: {touched}"
    assert seen(outside) == kept["outside"], story
    changed = {name for name, was in kept["box"].items() if seen(box).get(name) != was}
    assert all(name == "run" or name.startswith(("run/", "new")) for name in changed), f"{story}: {changed}"
    assert "Traceback" not in err, f"{story}: {err}"
    if code:
        assert code in (1, 2), story
        assert err.startswith("rnnframe: error: "), f"{story}: {err!r}"
        assert err.count("\n") == 1 and err.endswith("\n"), f"{story}: {err!r}"  # noqa: PT018
        assert err.isprintable() or err[:-1].isprintable(), f"{story}: {err!r}"
        assert "RNNFRAME_TRACEBACK" not in err, f"{story}: nobody foresaw {err!r}"
        assert len(err) < ONE_LINE, f"{story}: {len(err)} characters: {err!r}"
    return str(words[0]), code


def try_cases(numbers: range, whole: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, int]]:
    monkeypatch.chdir(place)  # where a trap that is sprung would make a folder
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    outcomes: Counter[tuple[str, int]] = Counter()
    failures = []
    with using(Registry.installed(disabled=["compiled"])):  # which writes down what it compiles, for the next process
        for number in numbers:
            try:
                outcomes[try_case(number, whole, place)] += 1
            except AssertionError as failure:
                failures.append(str(failure).splitlines()[0])
    assert not failures, f"{len(failures)} of {len(numbers)}\n" + "\n".join(failures)
    assert not (place / "trapped").exists()
    return outcomes


@pytest.mark.parametrize("start", range(0, 200, 100))
def test_whatever_is_damaged_the_answer_is_one_clear_line(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    outcomes = try_cases(range(start, start + 100), whole, tmp_path, monkeypatch)
    refused = sum(count for (_, code), count in outcomes.items() if code)
    assert 30 < refused < 95  # some damages are harmless, to what the command reads
    assert {command for command, _ in outcomes} == {"train", "evaluate", "sample", "predict", "report"}


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 4000, 500))
def test_three_thousand_damages_more(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    try_cases(range(start, start + 500), whole, tmp_path, monkeypatch)


def test_the_guard_sees_what_it_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pickle

    monkeypatch.chdir(tmp_path)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "outside")
    with guarded(inside) as found:
        (inside / "file").write_text("fine")
        os.replace(inside / "file", inside / "other")
        assert found == []
        (inside / "link").write_text("through a link")
        assert found.pop() == f"open {tmp_path / 'outside'}"
        os.rename(inside / "other", tmp_path / "other")
        assert found.pop() == f"os.rename {tmp_path / 'other'}"
        (tmp_path / "other").unlink()
        assert found.pop() == f"os.remove {tmp_path / 'other'}"
        trap(tmp_path / "inside" / "trap", tmp_path, np.random.default_rng(0))
        pickle.loads((inside / "trap").read_bytes())
        assert found[0].startswith("pickle.find_class ")
        assert found[1].startswith("os.mkdir ")
    assert isinstance(Boobytrap(), Boobytrap)
