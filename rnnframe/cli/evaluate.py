"""`rnnframe evaluate`."""

import math
from pathlib import Path

import click

from rnnframe.cli.checkpoint import CHECKPOINT
from rnnframe.cli.network import KERNELS
from rnnframe.cli.output import print_json, print_remarks
from rnnframe.cli.run_argument import RUN, named_run
from rnnframe.contracts.task import Examples
from rnnframe.engine.inference import Inference
from rnnframe.errors import RunError
from rnnframe.registry.specs import build
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.loading import load_run
from rnnframe.runs.model import TaskModel
from rnnframe.runs.scoring import score
from rnnframe.training.options import TrainingOptions


@click.command("evaluate", short_help="Print the loss of a trained model on data.")
@RUN
@CHECKPOINT
@click.option(
    "--data", metavar="FILE", help="file to evaluate on, all of it; by default the held-out part of the run's data"
)
@KERNELS
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(run: str | None, checkpoint: str, data: str | None, kernels: str, as_json: bool) -> None:
    """Print the loss of the model in the folder RUN, and what else its task measures.

    Without RUN it is the newest run under runs/.
    """
    run = named_run(run)
    model, folder = load_run(run, checkpoint), RunFolder.open(run)
    options = build(TrainingOptions, folder.config(), "configuration", str(Path(run) / "config.toml"))
    examples = _held_out(folder, model, options) if data is None else model.examples(data, options.batch)
    print_remarks(examples.remarks, examples.name)
    inference = Inference(model.network, kernels=kernels)
    judged, unit, counted = score(inference, examples), model.task.unit, model.task.counted
    if as_json:
        figures = {"loss": judged.loss, "unit": unit, "count": judged.count, "measures": judged.measures}
        print_json({"run": run, "data": data, "kernels": inference.network.kernels, **figures})
        return
    quantity, _, per = unit.partition("/")
    bits = f" ({judged.loss / math.log(2):.4f} bits/{per})" if quantity == "nats" else ""
    click.echo(f"{judged.loss:.4f} {unit}{bits} over {_count(judged.count)} {counted} of {examples.name}")
    for name, value in judged.measures.items():
        click.echo(f"{name}: {value:.6g}")


def _count(count: float) -> str:
    """Return a sum of weights as people write it: a whole number where it is one."""
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.2f}"


def _held_out(folder: RunFolder, model: TaskModel, options: TrainingOptions) -> Examples:
    dataset = model.task.open(options.setting(model.task))
    if dataset.digest != folder.checkpoints.readable().progress.get("data"):
        name = dataset.valid.name
        raise RunError(f"{name} has changed since the run was made; evaluate all of a file with --data FILE")
    return dataset.valid
