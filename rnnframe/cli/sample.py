"""`rnnframe sample`."""

from pathlib import Path

import click

from rnnframe.cli.checkpoint import CHECKPOINT
from rnnframe.cli.network import KERNELS
from rnnframe.cli.output import print_json
from rnnframe.registry.files import check_named
from rnnframe.registry.registry import default_registry
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.loading import load_model
from rnnframe.training.sampling import sample_text


@click.command("sample", short_help="Write text with a trained model.")
@click.argument("run", metavar="RUN")
@CHECKPOINT
@click.option("--length", type=click.IntRange(min=0), default=500, show_default=True, help="characters to write")
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0: always the likeliest; 1: as learnt")
@click.option("--prime", help="text to go on from  [default: a new line]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="of the draws")
@KERNELS
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    run: str,
    checkpoint: str,
    length: int,
    temperature: float,
    prime: str | None,
    seed: int,
    kernels: str,
    as_json: bool,
) -> None:
    """Write text with the model in the folder RUN."""
    folder = RunFolder.open(Path(run))
    check_named(folder.plugins(), default_registry().records, f"run {run!r}")
    model = load_model(folder.path, checkpoint)
    text = sample_text(
        model.network, model.alphabet(), length, prime=prime, temperature=temperature, seed=seed, kernels=kernels
    )
    if as_json:
        print_json({"run": run, "prime": prime, "temperature": temperature, "seed": seed, "text": text})
    else:
        click.echo(text)
