"""`rnnframe backtest`."""

from collections.abc import Iterator, Mapping

import attrs
import click

from rnnframe.arrays import Array
from rnnframe.cli.checkpoint import CHECKPOINT
from rnnframe.cli.held_out import held_out, options_of
from rnnframe.cli.network import KERNELS
from rnnframe.cli.output import print_json, print_remarks, print_table
from rnnframe.cli.run_argument import RUN, named_run
from rnnframe.contracts.dataset import Examples
from rnnframe.contracts.forecasts import Origins
from rnnframe.engine.inference import Inference
from rnnframe.errors import DataError, UsageError, on_one_line
from rnnframe.network.network import Network
from rnnframe.runs.backtest import Backtest, ForecastScore, forecast_table
from rnnframe.runs.loading import load_run
from rnnframe.runs.scoring import predictions
from rnnframe.storage.tables import check_apart, check_suffix, write_table

STEPS, COLUMNS = 24, 4
"""Steps ahead that are printed, spread over the horizon, and columns up to which they are; JSON has all of them."""


@click.command("backtest", short_help="Judge forecasts made at many rows, column by column and step by step.")
@RUN
@CHECKPOINT
@click.option(
    "--data", metavar="FILE", help="file to forecast in, all of it; by default the held-out part of the run's data"
)
@click.option(
    "--stride", type=click.IntRange(1), default=1, metavar="N", help="rows from one origin to the next (1 by default)"
)
@click.option("--origins", type=click.IntRange(1), metavar="N", help="the last N origins of each series; none: all")
@click.option("--out", metavar="FILE", help="write every forecast beside what came: .csv or .npz")
@KERNELS
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    run: str | None,
    checkpoint: str,
    data: str | None,
    stride: int,
    origins: int | None,
    out: str | None,
    kernels: str,
    as_json: bool,
) -> None:
    """Judge the forecasts of the model in the folder RUN over rolling origins: rows that forecasts are made at.

    Without RUN it is the newest run under runs/. At each origin the model has read all rows up to it, and forecasts the
    horizon after it; it is not trained again. Origins are counted back from the last row that a whole horizon follows.
    Errors are in the unit of each column, beside those of the seasonal-naive forecast from the same origins.
    """
    run = named_run(run)
    if out is not None:
        check_suffix(out)
        check_apart(out, data or options_of(run).valid or options_of(run).data or "")
    model = load_run(run, checkpoint)
    examples = held_out(run, model) if data is None else model.examples(data)
    if not examples.horizon:
        raise UsageError(f"task {model.task.name!r} forecasts no series; judge it with `rnnframe evaluate`")
    print_remarks(examples.remarks, examples.name)
    inference, judged = Inference(model.network, kernels=kernels), Backtest()
    pieces = _judged(inference, examples, Origins(stride=stride, most=origins), judged)
    if out is not None:
        write_table(out, pieces)
    else:
        for _ in pieces:
            pass
    if as_json:
        print_json({"run": run, "data": data, "out": out, "stride": stride, **_as_json(judged)})
    else:
        _print(judged, examples, stride)
        if out is not None:
            click.echo(f"the forecasts are in {out}")


def _judged(
    inference: Inference[Network], examples: Examples, origins: Origins, judged: Backtest
) -> Iterator[Mapping[str, Array]]:
    """Yield the forecasts as a table while their errors are added up."""
    for made in examples.forecasts(predictions(inference, examples), origins):
        judged.add(made)
        yield forecast_table(made)
    if not judged.count:
        raise DataError(
            f"{examples.name}: no forecast can be judged; a row must be followed by {examples.horizon} rows with values"
        )


def _as_json(judged: Backtest) -> dict[str, object]:
    steps = [attrs.asdict(score) for column in judged.columns for score in judged.by_step(column)]
    return {
        "origins": judged.origins,
        "first_origin": judged.span[0],
        "last_origin": judged.span[1],
        "horizon": judged.horizon,
        "season": judged.season,
        "retrained": False,
        "quantiles": list(judged.levels),
        "columns": [attrs.asdict(score) for score in judged.by_column()],
        "steps": steps,
    }


def _print(judged: Backtest, examples: Examples, stride: int) -> None:
    apart = "1 row" if stride == 1 else f"{stride:,} rows"
    origins = "1 origin" if judged.origins == 1 else f"{judged.origins:,} origins, {apart} apart,"
    ahead, rows = judged.horizon, "row" if judged.season == 1 else f"{judged.season:,} rows"
    click.echo(on_one_line(f"{origins} from {judged.span[0]} to {judged.span[1]} of {examples.name}"))
    click.echo(f"{ahead:,} steps ahead; the model was not trained again at any origin")
    click.echo(f"naive: the value one season of {rows} before")
    click.echo("MASE: the mean absolute error over that of the naive forecast in training")
    head = ["MAE", "RMSE", "MASE", "naive MAE", "naive MASE"]
    head += [f"in q{judged.levels[0]:g} to q{judged.levels[-1]:g}"] if judged.levels else []
    click.echo()
    print_table(["column", *head], [[score.column, *_figures(score)] for score in judged.by_column()])
    if len(judged.columns) <= COLUMNS:
        every = -(-ahead // STEPS)
        for column in judged.columns:
            shown = [
                score for score in judged.by_step(column) if score.step is not None and (score.step - 1) % every == 0
            ]
            click.echo()
            title = "step" if len(judged.columns) == 1 else f"{column}: step"
            print_table([title, *head], [[str(score.step), *_figures(score)] for score in shown])


def _figures(score: ForecastScore) -> list[str]:
    errors = (score.mae, score.rmse, score.mase, score.naive_mae, score.naive_mase)
    figures = ["-" if value is None else f"{value:.4g}" for value in errors]
    return figures if score.coverage is None else [*figures, f"{score.coverage:.1%}"]
