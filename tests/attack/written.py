"""Run as a program: write predictions, models and pages, and stop before each operation on files.

    python written.py FOLDER

Each command is run again and again in a process of its own, killed (-9) or interrupted (Ctrl-C) before another of its
operations. The file must be the old one or the whole new one; after an interrupt nothing is beside it, and after a kill
the next command leaves nothing there. Prints how many were tried of each, and what failed.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "cli"))

import onnx
from killed import Countdown, watch

from rnnframe.cli import main, with_commands
from rnnframe.registry.registry import installed_registry

FORKED_WITH = (with_commands(), installed_registry().names("task"), onnx)
COMMANDS = {
    "predict .csv": ("predict", "RUN", "--data", "TEXT", "--kernels", "numpy", "--out", "out.csv"),
    "predict .npz": ("predict", "RUN", "--data", "TEXT", "--kernels", "numpy", "--out", "out.npz"),
    "export": ("export", "RUN", "out.onnx"),
    "play": ("play", "--steps", "3", "--store", "states", "--out", "out.html"),
}


class Interruption(Countdown):
    """Interrupts its process at the call number `left`."""

    signal = signal.SIGINT


def typed(words: list[str], err: Path, before: Callable[[], None] | None = None) -> int:
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.alarm(60)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    if before is not None:
        watch(before, str(err.parent / "out"))
    sys.argv = ["rnnframe", *words]
    try:
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:
        os._exit(98)
    os._exit(99)


def attack(folder: Path, name: str, kind: Callable[[int], Callable[[], None]]) -> tuple[int, list[str]]:
    place, err = folder / "out", folder / "err"
    words = [{"RUN": str(folder / "run"), "TEXT": str(folder / "text.txt")}.get(word, word) for word in COMMANDS[name]]
    out = place / words[-1] if words[-1].startswith("out.") else None
    words = [*words[:-1], str(out)] if out else words
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    assert typed(words, err) == 0, err.read_text()
    whole, failed, number = out.read_bytes() if out else b"", [], 0
    run = {path: path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file()}
    while True:
        number += 1
        if out:
            out.write_bytes(b"old")
        code = typed(words, err, kind(number))
        story = f"{name}, {kind.__name__} {number}: {code} {err.read_text()!r:.200}"
        if out and out.read_bytes() not in (b"old", whole):
            failed.append(f"{story}: half a file")
        if kind is Interruption and (code not in (0, 130) or len(list(place.iterdir())) > bool(out)):
            failed.append(f"{story}: {os.listdir(place)}")
        if code == 0:
            break
        if err.read_text().strip().count("\n"):
            failed.append(story)
        if typed(words, err) or (out and out.read_bytes() != whole):
            failed.append(f"{story}: and then {err.read_text()!r:.200}")
        left = [path for path in place.iterdir() if path != out]
        if left:
            failed.append(f"{story}: {left}")
        for path in place.iterdir():
            path.unlink()
    if {path: path.read_bytes() for path in (folder / "run").rglob("*") if path.is_file()} != run:
        failed.append(f"{name}: the run folder has changed")
    return number - 1, failed


def main_of(folder: Path) -> None:
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 9)
    words = [
        "--cell",
        "elman:hidden=3",
        "--batch",
        "2",
        "--steps",
        "8",
        "--epochs",
        "1",
        "--quiet",
        "--sample",
        "0",
        "--kernels",
        "numpy",
        "--out",
    ]
    data = ["--data", str(folder / "text.txt")]
    assert typed(["train", *data, *words, str(folder / "run")], folder / "err") == 0, (folder / "err").read_text()
    told: dict[str, dict[str, object]] = {}
    for kind, title in (Countdown, "kills"), (Interruption, "interrupts"):
        tried, failed = zip(*(attack(folder, name, kind) for name in COMMANDS), strict=True)
        told[title] = {"tried": sum(tried), "failed": [each for some in failed for each in some]}
    print(json.dumps(told))


if __name__ == "__main__":
    main_of(Path(sys.argv[1]))
