"""`rnnframe sample`."""

from pathlib import Path

import attrs
import click
import numpy as np

from rnnframe.cli.checkpoint import CHECKPOINT
from rnnframe.cli.network import KERNELS
from rnnframe.cli.output import print_json, print_remarks
from rnnframe.cli.run_argument import RUN, named_run
from rnnframe.contracts.alphabet import Alphabet
from rnnframe.errors import DataError, UsageError
from rnnframe.runs.loading import load_run


@click.command("sample", short_help="Write text with a trained model.")
@RUN
@CHECKPOINT
@click.option(
    "--length",
    metavar="N",
    type=click.IntRange(min=0),
    default=500,
    show_default=True,
    help="characters, or tokens, to write",
)
@click.option(
    "--temperature",
    metavar="NUMBER",
    type=float,
    default=0.8,
    show_default=True,
    help="0: always the most likely symbol; 1: as learnt",
)
@click.option("--top-k", metavar="K", type=int, help="draw only from the K most likely symbols  [default: all]")
@click.option(
    "--top-p",
    metavar="NUMBER",
    type=float,
    help="draw only from the most likely symbols, up to this total probability  [default: all]",
)
@click.option("--prime", metavar="TEXT", help="text to continue  [default: a new line]")
@click.option("--prime-file", metavar="FILE", help="file with text to continue, of any length")
@click.option("--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="seed of the draws")
@KERNELS
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(
    run: str | None,
    checkpoint: str,
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    prime: str | None,
    prime_file: str | None,
    seed: int,
    kernels: str,
    as_json: bool,
) -> None:
    """Write text with the model in the folder RUN; without RUN, with the newest run under runs/."""
    if prime is not None and prime_file is not None:
        raise UsageError("--prime and --prime-file both give the text to continue; leave one of them out")
    run = named_run(run)
    model = attrs.evolve(load_run(run, checkpoint), kernels=kernels)
    if prime_file is not None:
        prime = _read(prime_file)
    if prime is not None:
        _remark_on_unknown(model.alphabet(), prime)
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    text = model.sample(length, prime=prime, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    if as_json:
        print_json({"run": run, "prime": prime, **options, "text": text})
    else:
        click.echo(text)


def _read(path: str) -> str:
    """Return the text of a file; bytes that are no UTF-8 are for models of bytes, and unknown to others."""
    try:
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"cannot read --prime-file {path!r}: {getattr(error, 'strerror', None) or error}") from None
    if not text:
        raise DataError(f"--prime-file {path!r} is empty; give at least one character")
    return text


def _remark_on_unknown(alphabet: Alphabet, prime: str) -> None:
    unknown = getattr(alphabet, "undrawn", None)
    count = 0 if unknown is None else int(np.count_nonzero(alphabet.encode(prime) == unknown))
    if count:
        many = "1 symbol of it is" if count == 1 else f"{count:,} symbols of it are"
        print_remarks([f"{many} not in the training text and read as unknown"], "the text to continue")
