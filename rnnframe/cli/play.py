"""`rnnframe play`."""

import webbrowser
from pathlib import Path
from typing import Any

import click

from rnnframe.cli.network import network_of, network_options_with
from rnnframe.drawing.play import play_page
from rnnframe.engine.engine import Engine
from rnnframe.errors import OptionError, RunError, UsageError
from rnnframe.inspection.film import film_of
from rnnframe.inspection.watched import WatchedValues, watch
from rnnframe.network.network import Network
from rnnframe.registry.specs import render
from rnnframe.sizes import human_bytes
from rnnframe.storage.durable import write_whole

CELL = "elman:hidden=4,activation=sigmoid"
SMALL = 2000
"""Parameters of a network whose values are shown; nobody can look at more."""


@click.command("play", short_help="Write a page that plays a strategy as a film.")
@click.option(
    "--store",
    multiple=True,
    default=("full-history", "checkpoint"),
    show_default=True,
    metavar="SPEC",
    help="store to play; give two to see them side by side on one clock",
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=12, show_default=True, metavar="N", help="steps of the sequence"
)
@click.option("--chunk", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="steps per chunk")
@click.option(
    "--batch", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="samples in the batch"
)
@network_options_with(CELL, 3, "mse:outputs=2")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("play.html"), show_default=True, help="file of the page"
)
@click.option("--open", "show", is_flag=True, help="show the page in a browser")
def command(store: tuple[str, ...], steps: int, chunk: int, batch: int, out: Path, show: bool, **of: Any) -> None:
    """Write one page that plays the schedule of a store on a small network, moment by moment.

    The page shows which states are held, saved, dropped and recomputed, the current line of the schedule, the bytes
    now and at the peak, and the gradient sums as they grow. It needs no network connection.
    """
    if len(store) > 2:
        raise UsageError(f"--store was given {len(store)} times; a page plays one store, or two side by side")
    if out.is_dir() or out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {str(out)!r} is not a page; give a file that ends in .html")
    if not out.parent.is_dir():
        raise UsageError(f"--out {str(out)!r}: there is no folder {str(out.parent)!r}; make it first")
    network = network_of(**of, usual=(CELL,))
    plans = [Engine(network, spec, chunk, shards=1, kernels="numpy").plan(steps, batch) for spec in store]
    films = [film_of(plan) for plan in plans]
    small = network.parameters.flat.size <= SMALL
    values: list[WatchedValues | None] = [watch(network, plan, chunk) if small else None for plan in plans]
    page = play_page(
        films, values, _full_history(network, steps, batch, chunk), _about(network, of, steps, batch, chunk)
    )
    try:
        write_whole(out, page.encode())
    except OSError as error:
        raise RunError(f"--out {str(out)!r} cannot be written: {error.strerror}") from error
    for film in films:
        held = human_bytes(film.plan.predicted_bytes)
        click.echo(f"{len(film.moments):,} moments, at most {held} held", err=True)
    click.echo(str(out))
    if show and not webbrowser.open(out.resolve().as_uri()):
        raise RunError(f"there is no browser here; open {str(out)!r} in one")


def _full_history(network: Network, steps: int, batch: int, chunk: int) -> int | None:
    """Return what full history would hold; None where its plugin is disabled."""
    try:
        return Engine(network, "full-history", chunk, shards=1, kernels="numpy").plan(steps, batch).predicted_bytes
    except OptionError:
        return None


def _about(network: Network, of: dict[str, Any], steps: int, batch: int, chunk: int) -> str:
    cells = " ".join(map(render, network.cells))
    samples = "one sample" if batch == 1 else f"{batch:,} samples"
    cut = "" if chunk == 1 else f" in chunks of {chunk:,}"
    return f"{cells}, {of['inputs']} inputs, {of['head']}; {steps:,} steps{cut} of {samples}."
