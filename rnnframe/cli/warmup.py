"""`rnnframe warmup`."""

import itertools
import time
from typing import Any

import click
import numpy as np

from rnnframe.cli.output import print_json
from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import AUTO, Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.errors import OptionError
from rnnframe.network.network import DTYPES
from rnnframe.registry.kernels import choose
from rnnframe.registry.registry import Registry, default_registry

HEADS = "heads"


@click.command("warmup", short_help="Compile the kernels ahead of their first use.")
@click.option(
    "--cell", multiple=True, metavar="SPEC", help="cell to compile kernels of; several; by default all that have some"
)
@click.option(
    "--dtype",
    multiple=True,
    type=click.Choice(DTYPES),
    default=DTYPES,
    show_default=True,
    help="type of parameters and states; several",
)
@click.option("--kernels", default=AUTO, show_default=True, metavar="NAME", help="whose code to make ready")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(cell: tuple[str, ...], dtype: tuple[str, ...], kernels: str, as_json: bool) -> None:
    """Compile kernels for this processor, or load what was compiled before, and tell the seconds.

    Without it the first command that needs a kernel compiles it, and says so.
    """
    registry = default_registry()
    chosen = _chosen(kernels, registry)
    made = []
    for spec, name in itertools.product([*(cell or chosen.cells()), HEADS], dtype):
        twin = _twin(chosen, spec, np.dtype(name), registry)
        if twin is None:
            continue
        if not as_json:
            click.echo(f"{spec}  {name}  ", nl=False)
        begun = time.perf_counter()
        chosen.prepare(twin, np.dtype(name))
        seconds = time.perf_counter() - begun
        made.append({"code": spec, "dtype": name, "seconds": seconds})
        if not as_json:
            click.echo(f"{seconds:.1f} s")
    place = chosen.place()
    if as_json:
        print_json({"kernels": chosen.name, "made": made, "place": place or None})
    else:
        click.echo(f"kept in {place}" if place else "not kept: no folder for it can be written to")


def _twin(kernels: Kernels, spec: str, dtype: np.dtype[Any], registry: Registry) -> Layer | Head | None:
    if spec == HEADS:
        return kernels.head(registry.head("mse:outputs=1"), dtype)
    twin = kernels.twin(registry.cell(spec), dtype)
    if twin is None:
        known = ", ".join(kernels.cells())
        raise OptionError(f"kernels {kernels.name!r} have none for cell {spec!r}; they have some for {known}")
    return twin


def _chosen(kernels: str, registry: Registry) -> Kernels:
    chosen = choose(kernels, registry)
    if chosen is None:
        reasons = [f"kernels={name!r}: {registry.kernels(name).missing()}" for name in registry.names("kernels")]
        raise OptionError("; ".join(reasons) if reasons and kernels == AUTO else f"kernels {kernels!r} need no warming")
    return chosen
