"""Run as a program: replace a run (`--force`) again and again, each time killed (-9) before another operation on files.

    python replaced.py TEXT FOLDER FIRST STEP

prints how many operations it takes until the new run has begun, how many kills left the old run, and how many the new
one; it fails where a kill leaves anything else, or where the next command does not say which of the two is there.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from killed import WORDS, Countdown, content, train

from rnnframe.runs.folder import RunFolder

MARKS = ("replacement", "replacement.new")


def whole(run: Path) -> tuple[Any, ...]:
    """Return all that a run is made of, and of its metrics what does not depend on the clock."""
    return RunFolder.open(run).config()["seed"], content(run), sorted(os.listdir(run / "checkpoints"))


def begun(run: Path) -> tuple[Any, ...]:
    """Return with what a run has begun."""
    groups = RunFolder.open(run).checkpoints.read(0).groups
    arrays = {(group, name): array.tobytes() for group, arrays in groups.items() for name, array in arrays.items()}
    return RunFolder.open(run).config()["seed"], arrays


def try_all(text: Path, folder: Path, first: int, step: int) -> None:
    old, run, said = folder / "old", folder / "run", folder / "said"
    words = ["--data", str(text), *WORDS.split()]
    replacing = [*words, "--out", str(run), "--force", "--seed", "2", "--stop-after", "1"]
    assert train([*words, "--seed", "1", "--out", str(old)]) == 0
    expected = whole(old)
    shutil.copytree(old, run)
    assert train(replacing) == 0
    new = begun(run)
    assert (expected[0], new[0]) == (1, 2)
    number, kept, replaced, ended = first, 0, 0, False
    while not ended:
        shutil.rmtree(run)
        shutil.copytree(old, run)
        code = train(replacing, Countdown(number))
        ended = code == 0
        assert ended or code == -9, code
        torn = any((run / mark).exists() for mark in MARKS)
        before = (run / "replacement").exists()
        with open(said, "w") as file:
            stderr = os.dup(2)
            os.dup2(file.fileno(), 2)
            found = whole(run)
            os.dup2(stderr, 2)
            os.close(stderr)
        is_new = found[0] == 2
        assert found == expected or (is_new and begun(run) == new), f"killed before operation {number}: {found[0]}"
        kept, replaced = kept + (not is_new), replaced + is_new
        lines = said.read_text()
        assert lines.count("(--force)") == torn, f"killed before operation {number}: {lines!r}"
        assert ("has replaced it" in lines) == before
        assert not torn or is_new == before
        assert not [path.name for path in run.iterdir() if path.name in MARKS]
        number += step
    print(f"{number - step} {kept} {replaced}")


if __name__ == "__main__":
    try_all(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
