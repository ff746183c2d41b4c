"""`rnnframe predict`."""

import click

from rnnframe.cli.checkpoint import CHECKPOINT
from rnnframe.cli.network import KERNELS
from rnnframe.cli.output import print_json, print_remarks
from rnnframe.cli.run_argument import RUN, named_run
from rnnframe.engine.inference import Inference
from rnnframe.runs.loading import load_run
from rnnframe.runs.scoring import predictions
from rnnframe.storage.tables import check_apart, check_suffix, write_table


@click.command("predict", short_help="Write the predictions of a trained model to a file.")
@RUN
@CHECKPOINT
@click.option("--data", required=True, metavar="FILE", help="file to predict for")
@click.option("--out", required=True, metavar="FILE", help="file to write, one row for each prediction: .csv or .npz")
@KERNELS
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(run: str | None, checkpoint: str, data: str, out: str, kernels: str, as_json: bool) -> None:
    """Write the predictions of the model in the folder RUN for a file, which needs no targets.

    Without RUN, the newest run under runs/ is used.
    """
    check_suffix(out)
    run = named_run(run)
    check_apart(out, data)
    model = load_run(run, checkpoint)
    examples = model.examples(data)
    print_remarks(examples.remarks, examples.name)
    inference = Inference(model.network, kernels=kernels)
    rows = write_table(out, examples.table(predictions(inference, examples)))
    if as_json:
        print_json({"run": run, "data": data, "out": out, "rows": rows, "kernels": inference.network.kernels})
    else:
        click.echo(f"{rows:,} predictions for {examples.name} in {out}")
