"""The picture of explanation/measured.md: dL/dh over the 600 steps of the adding problem, of three cells.

`python docs/_ext/gradient_picture.py` trains them, which takes some minutes, and draws the picture for light and for
dark pages.
"""

import json
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parent.parent / "_static"
BATCH, UPDATES, STEPS = 64, 1500, 600
CELLS = {"elman": "layer0.h", "lstm": "layer0.h", "gru": "layer0.h"}
"""The cells, and the state whose gradient is drawn."""
LEAST = 1e-24
"""The lowest norm that has a place in the picture."""


def seen(cell: str, updates: int, folder: Path) -> dict[str, Any]:
    """Return what is recorded of the gradient after so many updates."""
    task, out = f"adding:length={STEPS},samples={BATCH * updates},judged={BATCH}", folder / f"{cell} {updates}"
    words = f"train --task {task} --cell {cell}:hidden=64 --batch {BATCH} --epochs 1 --optimizer adam:lr=4e-3 --clip 1"
    options = ["--watch-gradients", "--quiet", "--out", str(out)]
    subprocess.run([sys.executable, "-m", "rnnframe", *shlex.split(words), *options], check=True)
    records = map(json.loads, (out / "metrics.jsonl").read_text("utf-8").splitlines())
    return [record for record in records if "norms" in record][-1]


def draw(path: Path, looks: list[dict[str, dict[str, Any]]], *, dark: bool) -> None:
    """Write the picture of the looks before and after training, by cell."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "rnnframe"  # the same file every time
    ink, line = ("#e6e6e6", "#5b6168") if dark else ("#24292f", "#b9bec4")
    colours = ("#ff8a80", "#6db8f2", "#7ed491") if dark else ("#b3261e", "#0b66a8", "#1a7f37")
    figure = Figure(figsize=(7.6, 3.1), layout="constrained")
    figure.patch.set_alpha(0)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, title, by_cell in zip(panels, ("after one update", f"after {UPDATES:,} updates"), looks, strict=True):
        axes.patch.set_alpha(0)
        for (cell, state), colour, dashes in zip(CELLS.items(), colours, ("-", (0, (5, 1.6)), "-."), strict=True):
            look = by_cell[cell]
            norms = [norm if norm >= LEAST else float("nan") for norm in look["norms"][state]]
            axes.plot(look["steps"], norms, color=colour, linestyle=dashes, linewidth=1.8, label=cell)
        axes.set_yscale("log")
        axes.set_ylim(LEAST, 10)
        axes.set_xlim(0, STEPS)
        axes.set_title(title, fontsize=9, color=ink, loc="left")
        axes.set_xlabel("step", fontsize=9, color=ink)
        axes.tick_params(colors=ink, labelsize=8.5, which="both")
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(line)
    panels[0].set_ylabel("norm of dL/dh", fontsize=9, color=ink)
    panels[0].legend(frameon=False, fontsize=9, labelcolor=ink, loc="upper left")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor() as pool:
        runs = {(cell, n): pool.submit(seen, cell, n, Path(work)) for cell in CELLS for n in (1, UPDATES)}
        found = [{cell: runs[cell, n].result() for cell in CELLS} for n in (1, UPDATES)]
    draw(STATIC / "gradient-health.svg", found, dark=False)
    draw(STATIC / "gradient-health-dark.svg", found, dark=True)
    for n, looks in zip((1, UPDATES), found, strict=True):
        ends = {cell: (look["norms"][CELLS[cell]][0], look["norms"][CELLS[cell]][-1]) for cell, look in looks.items()}
        print(n, {cell: f"{first:.1e} at step 0, {last:.1e} at the last" for cell, (first, last) in ends.items()})
