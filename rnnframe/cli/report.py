"""`rnnframe report`."""

import math
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import attrs
import click

from rnnframe.cli.output import human_seconds, print_json, print_table
from rnnframe.cli.picture import plot_option
from rnnframe.cli.run_argument import named_run
from rnnframe.errors import RnnframeError, RunError, UsageError, on_one_line
from rnnframe.registry.registry import default_registry
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.layout import METRICS
from rnnframe.runs.metrics import Metrics, Over, read_metrics
from rnnframe.sizes import human_bytes
from rnnframe.storage.durable import write_whole
from rnnframe.training.options import TrainingOptions
from rnnframe.training.starting import start_of, start_record, told_start

if TYPE_CHECKING:
    from rnnframe.drawing.references import Drawn  # which imports matplotlib


def _page_file(context: click.Context, option: click.Parameter, value: str | None) -> Path | None:
    """Return the path; raises `UsageError` for one that cannot be written and where plotly is missing."""
    if value is None:
        return None
    path = Path(value)
    if path.is_dir() or path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--page {value!r} is not a page; give a file that ends in .html")
    if not path.parent.is_dir():
        raise UsageError(f"--page {value!r}: there is no folder {str(path.parent)!r}; make it first")
    for library in ("plotly", "matplotlib"):  # the page has the looks of the picture
        if find_spec(library) is None:
            raise UsageError(f'--page draws with {library}, which is not installed; run: pip install "rnnframe[page]"')
    return path


@click.command("report", short_help="Show loss, throughput and memory of runs, as a table or a picture.")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@plot_option("loss, learning rate, gradient norm, throughput and memory of all runs")
@plot_option("what runs with --watch-gradients saw: dL/dh over time, spectral radius of W, gates", "--gradients")
@click.option(
    "--page",
    callback=_page_file,
    metavar="FILE",
    help="write the same curves as an interactive page, as .html",
)
@click.option("--follow", is_flag=True, help="keep the page up to date while a run goes on")
@click.option(
    "--over",
    type=click.Choice(get_args(Over)),
    default="updates",
    show_default=True,
    help="x-axis of the picture and the page",
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    runs: tuple[str, ...],
    plot: Path | None,
    gradients: Path | None,
    page: Path | None,
    follow: bool,
    over: Over,
    as_json: bool,
) -> None:
    """Summarize the metrics of one or several runs, finished or running; by default the newest under runs/.

    The losses are those of the last batch, the last epoch and the last evaluation. The time is that of the training
    steps, and the throughput is the steps of all samples per second of it. --plot and --page draw all runs together.
    """
    runs = runs or (named_run(None),)
    if follow and page is None:
        raise UsageError("--follow keeps a page up to date; give --page FILE.html too")
    if plot is not None or page is not None:
        _check_number(runs)
    folders = [RunFolder.open(run) for run in runs]
    read = [read_metrics(folder.path / METRICS, over) for folder in folders]
    units = [_unit(folder) for folder in folders]
    starts = [start_of(folder) for folder in folders]
    rows = [_row(*of) for of in zip(runs, units, read, starts, strict=True)]
    if as_json:
        print_json({"runs": rows})
    else:
        print_table(
            [
                "run",
                "epochs",
                "updates",
                "loss",
                "training",
                "validation",
                "best",
                "unit",
                "steps/s",
                "time",
                "store holds",
            ],
            [_cells(row) for row in rows],
        )
        for run, start in zip(runs, starts, strict=True):
            if start is not None:
                click.echo(on_one_line(f"{run} started from {told_start(start)}"))
    if plot is not None:
        from rnnframe.drawing.runs import runs_figure
        from rnnframe.drawing.style import save

        save(runs_figure(_drawn(runs, units, read, over), over), plot)
    if gradients is not None:
        _draw_gradients(gradients, _drawn(runs, units, read, over), over)
    if page is not None:
        _write_pages(page, follow, folders, runs, units, over)


def _check_number(runs: tuple[str, ...]) -> None:
    from rnnframe.drawing.runs import MOST

    if len(runs) > MOST:
        raise UsageError(f"--plot draws up to {MOST} runs over each other, not {len(runs)}; give fewer")


def _unit(run: RunFolder) -> str:
    """Return what the loss of a run is in; the task's name where its plugin is not at hand."""
    task = run.config().get("task", attrs.fields_dict(TrainingOptions)["task"].default)
    try:
        return default_registry().task(str(task)).unit
    except RnnframeError:
        return str(task)


def _row(run: str, unit: str, metrics: Metrics, start: TrainingOptions | None) -> dict[str, Any]:
    best = metrics.best
    return {
        "run": run,
        "unit": unit,
        "epochs": metrics.epochs,
        "batches": metrics.batches,
        "updates": metrics.updates,
        "loss": _finite(metrics.last_loss),
        "train_loss": _finite(metrics.train_loss),
        "valid_loss": _finite(metrics.last_valid_loss),
        "best": None if best is None else attrs.asdict(best),
        "steps": metrics.steps,
        "seconds": metrics.seconds,
        "steps_per_second": metrics.steps_per_second,
        "peak_bytes": metrics.peak_bytes,
        "not_finite": metrics.not_finite,
        "gradients": _last_look(metrics),
        "init_from": None if start is None else start_record(start),
    }


def _last_look(metrics: Metrics) -> dict[str, Any] | None:
    looks = metrics.looks.all()
    if not looks:
        return None
    last = looks[-1]
    norms = {name: values.tolist() for name, values in last.norms.items()}
    radii = {name: _finite(value) for name, value in last.spectral_radius.items()}
    return {
        "epoch": last.epoch,
        "steps": list(map(int, last.steps)),
        "norms": norms,
        "spectral_radius": radii,
        "saturated": last.saturated,
    }


def _finite(value: float | None) -> float | None:
    """Return a number that JSON has a word for."""
    return value if value is not None and math.isfinite(value) else None


def _cells(row: dict[str, Any]) -> list[str]:
    best, peak, rate = row["best"], row["peak_bytes"], row["steps_per_second"]
    return [
        row["run"],
        f"{row['epochs']:,}",
        f"{row['updates']:,}",
        _loss(row["loss"]),
        _loss(row["train_loss"]),
        _loss(row["valid_loss"]),
        "-" if best is None else f"{_loss(best['loss'])} at {best['update']:,}",
        row["unit"],
        "-" if rate is None else f"{rate:,.0f}",
        "-" if row["seconds"] is None else _time(row["seconds"]),
        "-" if peak is None else human_bytes(peak),
    ]


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _time(seconds: float) -> str:
    if seconds < 60:
        return human_seconds(seconds)
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _drawn(runs: Sequence[str], units: Sequence[str], read: Sequence[Metrics], over: Over) -> list["Drawn"]:
    from rnnframe.drawing.references import Drawn

    for run, metrics in zip(runs, read, strict=True):
        if not metrics.batches:
            raise RunError(f"run {run!r} has no batch in its metrics yet; wait for one, or leave it out")
        if getattr(metrics, over) is None:
            raise UsageError(f"the metrics of run {run!r} have no {over}; draw it with --over updates")
    return [Drawn(run, f"loss ({unit})", metrics) for run, unit, metrics in zip(runs, units, read, strict=True)]


def _draw_gradients(path: Path, runs: Sequence["Drawn"], over: Over) -> None:
    from rnnframe.drawing.gradients import MOST_RUNS, gradients_figure
    from rnnframe.drawing.style import save

    if len(runs) > MOST_RUNS:
        raise UsageError(f"--gradients draws up to {MOST_RUNS} runs side by side, not {len(runs)}; give fewer")
    for run in runs:
        if not run.metrics.looks.all():
            raise UsageError(f"run {run.name!r} has not watched its gradient; train one with --watch-gradients")
    save(gradients_figure(runs, over), path)


def _write_pages(
    path: Path, follow: bool, folders: Sequence[RunFolder], runs: Sequence[str], units: Sequence[str], over: Over
) -> None:
    """Write the page; with `follow`, again every few seconds until no run goes on, or until Ctrl-C."""
    from rnnframe.drawing.runs_page import SECONDS, runs_page

    while True:
        live = follow and any(folder.in_use for folder in folders)
        read = [read_metrics(folder.path / METRICS, over) for folder in folders]
        try:
            write_whole(path, runs_page(_drawn(runs, units, read, over), over, live=live).encode())
        except OSError as error:
            raise RunError(f"--page {str(path)!r} cannot be written: {error.strerror}") from error
        if not live:
            return
        time.sleep(SECONDS)
