"""What a shell is answered, by the script that `rnnframe completion` prints and by the program itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnframe.registry.registry import default_registry

from .conftest import Run


def answered(line: str) -> list[str]:
    """Return what the program answers bash for the last word of a line."""
    words = line.split(" ")
    environment = os.environ | {
        "_RNNFRAME_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    program = [sys.executable, "-m", "rnnframe"]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return [answer.partition(",")[2] for answer in done.stdout.split()]


@pytest.mark.parametrize(
    ("option", "kind"),
    [("--store", "store"), ("--cell", "cell"), ("--optimizer", "optimizer"), ("--rate", "learning rate")],
)
def test_every_name_of_a_kind_is_offered(option: str, kind: str) -> None:
    assert answered(f"rnnframe train {option} ") == default_registry().names(kind)


def test_what_was_typed_chooses() -> None:
    assert answered("rnnframe tr") == ["train"]
    assert answered("rnnframe train --store ch") == ["checkpoint"]
    assert answered("rnnframe train --held") == ["--held-out"]
    assert {"auto", "numpy", "compiled"} == set(answered("rnnframe plan --kernels "))
    assert answered("rnnframe show lst") == ["lstm"]


def test_runs_are_offered(train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert answered("rnnframe evaluate ") == []
    train("--out", "runs/one")
    assert answered("rnnframe evaluate ") == answered("rnnframe train --resume ") == [os.path.join("runs", "one")]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_one_that_the_shell_reads(run: Run, shell: str, tmp_path: Path) -> None:
    script = run("completion", shell).out
    assert f"_RNNFRAME_COMPLETE={shell}_complete" in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(script)
    assert subprocess.run([program, "-n", str(file)], capture_output=True, check=False).returncode == 0
