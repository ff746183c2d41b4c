"""`rnnframe evaluate`."""

import math
from pathlib import Path
from typing import Any

import attrs
import click

from rnnframe.cli.checkpoint import CHECKPOINT
from rnnframe.cli.held_out import held_out, options_of
from rnnframe.cli.network import KERNELS
from rnnframe.cli.output import print_json, print_remarks, print_table, print_text
from rnnframe.cli.picture import plot_option
from rnnframe.cli.run_argument import RUN, named_run
from rnnframe.contracts.dataset import Examples
from rnnframe.engine.inference import Inference
from rnnframe.errors import UsageError
from rnnframe.runs.confusion import Confusion
from rnnframe.runs.loading import load_run
from rnnframe.runs.scoring import Score, score

MATRIX = 12
"""Classes whose matrix is printed; that of more is drawn with --plot."""


@click.command("evaluate", short_help="Print the loss of a trained model on data.")
@RUN
@CHECKPOINT
@click.option("--data", metavar="FILE", help="file to evaluate on; by default the held-out part of the run's data")
@plot_option("the confusion matrix of the classes")
@KERNELS
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(run: str | None, checkpoint: str, data: str | None, plot: Path | None, kernels: str, as_json: bool) -> None:
    """Print the loss and the other measures of the model in the folder RUN.

    Without RUN, the newest run under runs/ is used. A classifier is also judged class by class.
    """
    run = named_run(run)
    model = load_run(run, checkpoint)
    examples = held_out(run, model) if data is None else model.examples(data, options_of(run).batch)
    if plot is not None and not examples.classes:
        raise UsageError(f"--plot draws a confusion matrix of classes; task {model.task.name!r} has no classes")
    print_remarks(examples.remarks, examples.name)
    inference = Inference(model.network, kernels=kernels)
    judged, unit, counted = score(inference, examples), model.task.unit, model.task.counted
    per_byte = _bits_per_byte(judged, examples)
    if plot is not None and judged.confusion is not None:
        _draw(plot, judged.confusion, examples.name)
    if as_json:
        figures = {"loss": judged.loss, "unit": unit, "count": judged.count, "measures": judged.measures}
        if per_byte is not None:
            figures["bits_per_byte"] = per_byte
        print_json(
            {"run": run, "data": data, "kernels": inference.network.kernels, **figures, **_by_class(judged.confusion)}
        )
        return
    quantity, _, per = unit.partition("/")
    bits = [f"{judged.loss / math.log(2):.4f} bits/{per}"] if quantity == "nats" else []
    bits += [f"{per_byte:.4f} bits/byte"] if per_byte is not None and per != "byte" else []
    told = f" ({', '.join(bits)})" if bits else ""
    print_text(f"{judged.loss:.4f} {unit}{told} over {_count(judged.count)} {counted} of {examples.name}")
    for name, value in judged.measures.items():
        click.echo(f"{name}: {value:.6g}")
    if judged.confusion is not None:
        _print_classes(judged.confusion)


def _bits_per_byte(judged: Score, examples: Examples) -> float | None:
    """Return the loss in bits for each byte of the text, where it is one that is known."""
    size = examples.text_bytes()
    return judged.loss * judged.count / math.log(2) / size if size else None


def _by_class(confusion: Confusion | None) -> dict[str, Any]:
    """Return what JSON tells of the classes."""
    if confusion is None:
        return {}
    return {
        "balanced_accuracy": confusion.balanced_accuracy,
        "classes": [attrs.asdict(each) for each in confusion.by_class()],
        "confusion": confusion.counts.tolist(),
    }


def _print_classes(confusion: Confusion) -> None:
    """Print what is known of each class, and the matrix where it fits into a terminal."""
    click.echo(f"balanced accuracy: {confusion.balanced_accuracy:.6g}")
    rows = [
        [each.label, f"{each.count:,}", *(_share(value) for value in (each.precision, each.recall, each.f1))]
        for each in confusion.by_class()
    ]
    print_table(["class", "samples", "precision", "recall", "f1"], rows)
    if len(confusion.labels) <= MATRIX:
        click.echo("true class (rows) and chosen class (columns):")
        matrix = zip(confusion.labels, confusion.counts, strict=True)
        print_table(["", *confusion.labels], [[label, *map(str, counts)] for label, counts in matrix])


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _draw(path: Path, confusion: Confusion, name: str) -> None:
    from rnnframe.drawing.confusion import confusion_figure
    from rnnframe.drawing.style import save

    save(confusion_figure(confusion, name), path)


def _count(count: float) -> str:
    """Return a sum of weights as people write it: a whole number where it is one."""
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.2f}"
