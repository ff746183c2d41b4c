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


@click.command("predict", short_help="Write down what a trained model predicts for data.")
@RUN
@CHECKPOINT
@click.option("--data", required=True, metavar="FILE", help="file to predict for, all of it")
@click.option("--out", required=True, metavar="FILE", help="where to write, a row a prediction: .csv or .npz")
@KERNELS
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(run: str | None, checkpoint: str, data: str, out: str, kernels: str, as_json: bool) -> None:
    """Write down what the model in the folder RUN predicts for a file; its targets, if any, are not needed.

    Without RUN it is the newest run under runs/.
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
