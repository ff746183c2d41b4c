"""`rnnframe evaluate`."""

import math
from pathlib import Path

import click

from rnnframe.characters import Corpus, Streams, read_text
from rnnframe.cli.output import print_json
from rnnframe.engine import Engine
from rnnframe.errors import DataError, RunError
from rnnframe.local_plugins import check_named
from rnnframe.registry import default_registry
from rnnframe.runs import RunFolder, load_model
from rnnframe.specs import build
from rnnframe.training import TrainingOptions


@click.command("evaluate", short_help="Print the loss of a trained model on a text.")
@click.argument("run", metavar="RUN")
@click.option(
    "--data", metavar="FILE", help="text to evaluate on, all of it; by default the held-out part of the run's"
)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(run: str, data: str | None, as_json: bool) -> None:
    """Print the loss of the model in the folder RUN, in nats (and bits) per character."""
    folder = RunFolder.open(run)
    check_named(folder.plugins(), default_registry(), f"run {run!r}")
    network, vocabulary = load_model(folder.path)
    if data is None:
        options = build(TrainingOptions, folder.config(), "configuration", str(Path(run) / "config.toml"))
        text, name = read_text(options.data)
        corpus = Corpus.of(text, name, options.batch, options.held_out)
        if corpus.digest != folder.load().progress.get("text"):
            raise RunError(f"{name} has changed since the run was made; evaluate all of a text with --data FILE")
        streams, name = corpus.valid, f"the held-out part of {name}"
    else:
        text, name = read_text(data)
        if len(text) < 2:
            raise DataError(f"data file {data!r} has {len(text)} character; at least 2 are needed")
        streams = Streams.cut(vocabulary.encode(text), 1)
    result = Engine(network).evaluate(streams.x, streams.y)
    if as_json:
        print_json(
            {"run": run, "data": data, "loss": result.loss, "unit": "nats/character", "characters": result.count}
        )
        return
    bits = result.loss / math.log(2)
    click.echo(f"{result.loss:.4f} nats/char ({bits:.4f} bits/char) over {result.count:,} characters of {name}")
