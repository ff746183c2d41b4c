"""The films of the pages: made with `rnnframe play`'s own code when the site is built, into `films/` of the site."""

from pathlib import Path
from typing import Any

import rnnframe as rf
from rnnframe.drawing.play import play_page
from rnnframe.engine.plan import Plan
from rnnframe.inspection.film import film_of
from rnnframe.inspection.watched import watch

FILMS = {
    "question": (["full-history"], 6),
    "queue": (["circular-queue:k1=2,k2=5,weights=stored"], 12),
    "checkpoint": (["full-history", "checkpoint:policy=revolve,slots=3"], 12),
}
"""Name of a page -> the stores that it plays, and the number of steps."""


def network() -> rf.Network:
    """Return the network that all films play."""
    return rf.Network(
        cells=["elman:hidden=4,activation=sigmoid"], head="mse:outputs=2", inputs=3, dtype="float64", seed=1
    )


def plan(store: str, steps: int) -> Plan:
    """Return the plan of a store for this network, in chunks of one step."""
    return rf.Engine(network(), store, 1, shards=1, kernels="numpy").plan(steps, 1)


def write(folder: Path) -> None:
    """Write all films into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (stores, steps) in FILMS.items():
        plans = [plan(store, steps) for store in stores]
        full = plan("full-history", steps).predicted_bytes
        about = f"Three inputs, four hidden units, two outputs; {steps} steps of one sample."
        page = play_page([film_of(made) for made in plans], [watch(network(), made, 1) for made in plans], full, about)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Write the films beside the pages at the end of a build."""
    app.connect("build-finished", lambda app, error: None if error else write(Path(app.outdir) / "films"))
    return {"parallel_read_safe": True}
