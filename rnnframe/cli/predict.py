"""`rnnframe predict`."""

from pathlib import Path

import click

from rnnframe.cli.checkpoint import CHECKPOINT
from rnnframe.cli.held_out import held_out, held_out_name
from rnnframe.cli.network import KERNELS
from rnnframe.cli.output import print_json, print_remarks
from rnnframe.cli.picture import plot_option
from rnnframe.cli.run_argument import RUN, named_run
from rnnframe.contracts.dataset import Examples
from rnnframe.engine.inference import Inference
from rnnframe.errors import UsageError
from rnnframe.network.network import Network
from rnnframe.runs.loading import load_run
from rnnframe.runs.scoring import predictions
from rnnframe.storage.tables import check_apart, check_suffix, write_table


@click.command("predict", short_help="Write the predictions of a trained model to a file.")
@RUN
@CHECKPOINT
@click.option("--data", metavar="FILE", help="file to predict for; --plot alone takes the held-out part")
@click.option("--out", metavar="FILE", help="file to write, one row for each prediction: .csv or .npz")
@plot_option("forecasts of series, with their quantiles, beside what came")
@KERNELS
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    run: str | None,
    checkpoint: str,
    data: str | None,
    out: str | None,
    plot: Path | None,
    kernels: str,
    as_json: bool,
) -> None:
    """Write the predictions of the model in the folder RUN for a file, which needs no targets, or draw its forecasts.

    Without RUN, the newest run under runs/ is used.
    """
    _check_files(data, out, plot)
    run = named_run(run)
    model = load_run(run, checkpoint)
    examples = held_out(run, model) if data is None else model.examples(data)
    if plot is not None and not examples.horizon:
        raise UsageError(f"--plot draws forecasts of series; task {model.task.name!r} makes none")
    print_remarks(examples.remarks, examples.name)
    inference = Inference(model.network, kernels=kernels)
    rows = 0 if out is None else write_table(out, examples.table(predictions(inference, examples)))
    if plot is not None:
        _draw(plot, inference, examples, Path(data).name if data else held_out_name(run))
    if as_json:
        drawn = None if plot is None else str(plot)
        used = inference.network.kernels
        print_json({"run": run, "data": data, "out": out, "plot": drawn, "rows": rows, "kernels": used})
    elif out is not None:
        click.echo(f"{rows:,} predictions for {examples.name} in {out}")
    else:
        click.echo(f"forecasts for {examples.name} are drawn in {plot}")


def _check_files(data: str | None, out: str | None, plot: Path | None) -> None:
    """Raise `UsageError` or `OptionError` where files are missing or cannot be written."""
    if out is None and plot is None:
        raise UsageError("nothing is asked for; write predictions with --out FILE, or draw forecasts with --plot FILE")
    if out is not None:
        check_suffix(out)
        if data is None:
            raise UsageError("--out writes predictions for a file; name it with --data FILE")
        check_apart(out, data)


def _draw(path: Path, inference: Inference[Network], examples: Examples, name: str) -> None:
    from rnnframe.drawing.forecasts import forecasts_figure, origins_shown
    from rnnframe.drawing.style import save

    forecasts = examples.forecasts(predictions(inference, examples), origins_shown(examples.horizon))
    save(forecasts_figure(forecasts, name), path)
