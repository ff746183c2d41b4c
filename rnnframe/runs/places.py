"""Where runs are kept that were given no folder: under `runs/` of the current folder, named after date and task."""

import itertools
from datetime import datetime
from pathlib import Path

from rnnframe.errors import RunError
from rnnframe.runs.layout import CONFIG, METRICS, WEIGHTS

RUNS = Path("runs")
"""The folder of runs without a name of their own."""


def place_for(task: str, now: datetime) -> Path:
    """Return a folder under `runs/` that is not there yet, such as runs/2026-03-01_14-05-09_characters."""
    name = f"{now:%Y-%m-%d_%H-%M-%S}_{task}"
    places = itertools.chain([RUNS / name], (RUNS / f"{name}_{n}" for n in itertools.count(2)))
    return next(place for place in places if not place.exists())


def newest_run() -> Path:
    """Return the run under `runs/` that was written to last; raises `RunError` where there is none.

    Runs that have trained on nothing yet, such as one that failed at once, are left out.
    """
    runs = [path for path in sorted(RUNS.glob("*")) if (path / CONFIG).is_file() and _has_begun(path)]
    if not runs:
        raise RunError(f"no run is named, and there is none under {str(RUNS)!r}; name one, or make one: rnnframe train")
    return max(runs, key=_written_at)


def _has_begun(run: Path) -> bool:
    metrics = run / METRICS
    return metrics.is_file() and metrics.stat().st_size > 0


def _written_at(run: Path) -> int:
    files = [run / name for name in (CONFIG, METRICS, WEIGHTS)]
    return max(path.stat().st_mtime_ns for path in files if path.is_file())
