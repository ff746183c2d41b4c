"""The pictures of the pages: commands that the pages show, typed when the site is built; they go into `pictures/`."""

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BOOK = "A book of a few pages. To read it takes a moment; to learn it by heart takes longer. " * 400
BEFORE = (
    "train --data book.txt --store full-history --cell gru:hidden=32 --epochs 4 --out run1",
    "train --data book.txt --store circular-queue:k1=32,k2=64 --cell gru:hidden=32 --epochs 4 --out run2",
)
"""What is typed before the pictures: two short runs, to report on."""
COMMANDS = {
    "plan": "plan --cell lstm:hidden=128 --steps 1000 --budget 8MiB --plot plan.png",
    "revolve": "plan --steps 1000 --draw checkpoint:policy=revolve,slots=8 --plot revolve.png",
    "queue": "plan --steps 1000 --draw circular-queue:k1=32,k2=128,weights=stored --plot queue.png",
    "compare": "compare --cell lstm:hidden=128 --steps 1000 --plot compare.png",
    "lstm": "explain lstm:hidden=128 --plot lstm.png",
    "report": "report run1 run2 --plot report.png",
}
"""Name of a picture -> the command that draws it."""


def write(folder: Path) -> None:
    """Draw all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "book.txt").write_text(BOOK, encoding="utf-8")
        for words in (*BEFORE, *COMMANDS.values()):
            command = [sys.executable, "-m", "rnnframe", *shlex.split(words)]
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"rnnframe {words}: {done.stderr}")
        for name in COMMANDS:
            (folder / f"{name}.png").write_bytes((Path(work) / f"{name}.png").read_bytes())


def setup(app: Any) -> dict[str, bool]:
    """Draw the pictures at the end of a build."""
    app.connect("build-finished", lambda app, error: None if error else write(Path(app.outdir) / "pictures"))
    return {"parallel_read_safe": True}
