"""`rnnframe warmup`."""

import itertools
import time
from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from rnnframe.cli.output import print_json
from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import AUTO, BOTH, Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.errors import OptionError
from rnnframe.network.network import DTYPES
from rnnframe.registry.kernels import choose
from rnnframe.registry.registry import Registry, default_registry

HEADS = "heads"


@click.command("warmup", short_help="Compile the kernels before their first use.")
@click.option(
    "--cell",
    multiple=True,
    metavar="SPEC",
    help="cell to compile kernels for; may be repeated; by default all that have kernels",
)
@click.option(
    "--dtype",
    multiple=True,
    type=click.Choice(DTYPES),
    default=DTYPES,
    show_default=True,
    help="type of parameters and states; may be repeated",
)
@click.option("--kernels", default=AUTO, show_default=True, metavar="NAME", help="kernels to compile")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(cell: tuple[str, ...], dtype: tuple[str, ...], kernels: str, as_json: bool) -> None:
    """Compile kernels for this processor, or load those compiled before, and print the seconds.

    Otherwise, the first command that needs a kernel compiles it, and says so.
    """
    registry = default_registry()
    chosen = _chosen(kernels, registry)
    made = []
    cells = cell or tuple(dict.fromkeys(spec for each in chosen for spec in each.cells()))
    for spec, name in itertools.product([*cells, HEADS], dtype):
        found = _twin(chosen, spec, np.dtype(name), registry)
        if found is None:
            continue
        if not as_json:
            click.echo(f"{spec}  {name}  ", nl=False)
        begun = time.perf_counter()
        found[0].prepare(found[1], np.dtype(name))
        found[0].prepare_step(found[1], np.dtype(name))
        seconds = time.perf_counter() - begun
        made.append({"code": spec, "dtype": name, "kernels": found[0].name, "seconds": seconds})
        if not as_json:
            click.echo(f"{seconds:.1f} s")
    places = [each.place() for each in chosen if each.place()]
    if as_json:
        names = BOTH.join(each.name for each in chosen)
        print_json({"kernels": names, "made": made, "place": places[0] if places else None})
    else:
        click.echo(f"kept in {', '.join(places)}" if places else "not kept: no folder for it can be written to")


def _twin(
    chosen: Sequence[Kernels], spec: str, dtype: np.dtype[Any], registry: Registry
) -> tuple[Kernels, Layer | Head] | None:
    """Return the first kernels with a twin, and the twin."""
    for kernels in chosen:
        if spec == HEADS:
            twin: Layer | Head | None = kernels.head(registry.head("mse:outputs=1"), dtype)
        else:
            twin = kernels.twin(registry.cell(spec), dtype)
        if twin is not None:
            return kernels, twin
    if spec == HEADS:
        return None
    names = BOTH.join(each.name for each in chosen)
    known = dict.fromkeys(cell.partition(":")[0] for each in chosen for cell in each.cells())
    raise OptionError(f"kernels {names!r} have none for cell {spec!r}; they have some for {', '.join(known)}")


def _chosen(kernels: str, registry: Registry) -> tuple[Kernels, ...]:
    chosen = choose(kernels, registry)
    if not chosen:
        reasons = [f"kernels={name!r}: {registry.kernels(name).missing()}" for name in registry.names("kernels")]
        raise OptionError("; ".join(reasons) if reasons and kernels == AUTO else f"kernels {kernels!r} need no warming")
    return chosen
