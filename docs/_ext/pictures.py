"""The pictures of the pages: commands that the pages show, typed when the site is built; they go into `pictures/`."""

import datetime
import math
import random
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BOOK = "A book of a few pages. To read it takes a moment; to learn it by heart takes longer. " * 400
FORECAST = "forecast:horizon=8,season=52,difference=52,stride=1,quantiles=0.1;0.5;0.9"
ADDING, CELLS = "adding:length=100,samples=2000", ("elman", "lstm")
BEFORE = (
    "train --data book.txt --store full-history --cell gru:hidden=32 --epochs 4 --out run1",
    "train --data book.txt --store circular-queue:k1=32,k2=64 --cell gru:hidden=32 --epochs 4 --out run2",
    f"train --task '{FORECAST}' --data weeks.csv --cell gru:hidden=8 --steps 26 --held-out 0.2 "
    "--batch 16 --optimizer adam:lr=5e-3 --epochs 20 --out run3",
    *(f"train --task {ADDING} --cell {cell}:hidden=32 --epochs 3 --watch-gradients --out {cell}" for cell in CELLS),
)
"""What is typed before the pictures: two short runs to report on, one that forecasts, and two that watch gradients."""
COMMANDS = {
    "plan": "plan --cell lstm:hidden=128 --steps 1000 --budget 8MiB --plot plan.png",
    "revolve": "plan --steps 1000 --draw checkpoint:policy=revolve,slots=8 --plot revolve.png",
    "queue": "plan --steps 1000 --draw circular-queue:k1=32,k2=128,weights=stored --plot queue.png",
    "compare": "compare --cell lstm:hidden=128 --steps 1000 --plot compare.png",
    "lstm": "explain lstm:hidden=128 --plot lstm.png",
    "report": "report run1 run2 --plot report.png",
    "forecasts": "predict run3 --plot forecasts.png",
    "gradients": "report elman lstm --gradients gradients.png",
}
"""Name of a picture -> the command that draws it."""


def weeks() -> str:
    """Return a table of weeks with a season of a year on a trend, and some noise."""
    draw, first = random.Random(0), datetime.date(2018, 1, 6)
    rows = ["week,value"]
    for n in range(416):
        value = 310 + n / 40 + 3 * math.sin(2 * math.pi * n / 52) + draw.gauss(0, 0.4)
        rows.append(f"{first + datetime.timedelta(weeks=n)},{value:.2f}")
    return "\n".join([*rows, ""])


def write(folder: Path) -> None:
    """Draw all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "book.txt").write_text(BOOK, encoding="utf-8")
        (Path(work) / "weeks.csv").write_text(weeks(), encoding="utf-8")
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
