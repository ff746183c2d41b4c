"""`rnnframe sample`."""

import attrs
import click

from rnnframe.cli.checkpoint import CHECKPOINT
from rnnframe.cli.network import KERNELS
from rnnframe.cli.output import print_json
from rnnframe.cli.run_argument import RUN, named_run
from rnnframe.runs.loading import load_run


@click.command("sample", short_help="Write text with a trained model.")
@RUN
@CHECKPOINT
@click.option("--length", type=click.IntRange(min=0), default=500, show_default=True, help="characters to write")
@click.option("--temperature", type=float, default=0.8, show_default=True, help="0: always the likeliest; 1: as learnt")
@click.option("--prime", help="text to go on from  [default: a new line]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="of the draws")
@KERNELS
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    run: str | None,
    checkpoint: str,
    length: int,
    temperature: float,
    prime: str | None,
    seed: int,
    kernels: str,
    as_json: bool,
) -> None:
    """Write text with the model in the folder RUN; without RUN it is the newest run under runs/."""
    run = named_run(run)
    model = attrs.evolve(load_run(run, checkpoint), kernels=kernels)
    text = model.sample(length, prime=prime, temperature=temperature, seed=seed)
    if as_json:
        print_json({"run": run, "prime": prime, "temperature": temperature, "seed": seed, "text": text})
    else:
        click.echo(text)
