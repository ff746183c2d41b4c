"""`rnnframe warmup`."""

import itertools
import time
from collections.abc import Sequence
from typing import Any, get_args

import click
import numpy as np

from rnnframe.cli.output import print_json
from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import AUTO, BFLOAT16, BOTH, Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.contracts.retention import TapeRetention
from rnnframe.errors import OptionError
from rnnframe.network.network import DTYPES
from rnnframe.registry.kernels import check_precision, choose
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
@click.option(
    "--precision",
    type=click.Choice([BFLOAT16]),
    help="compile the code of matrix products of bfloat16, for networks of float32, in place of that of the types",
)
@click.option("--kernels", default=AUTO, show_default=True, metavar="NAME", help="kernels to compile")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(cell: tuple[str, ...], dtype: tuple[str, ...], precision: str | None, kernels: str, as_json: bool) -> None:
    """Compile kernels for this processor, or load those compiled before, and print the seconds.

    Otherwise, the first command that needs a kernel compiles it, and says so.
    """
    registry = default_registry()
    chosen = _chosen(kernels, registry)
    made = []
    cells = cell or tuple(dict.fromkeys(spec for each in chosen for spec in each.cells()))
    if precision and "float32" not in dtype:
        check_precision(precision, np.dtype(dtype[0]))
    for spec, name in itertools.product([*cells, HEADS], ["float32"] if precision else dtype):
        found = _twin(chosen, spec, np.dtype(name), precision, registry)
        if found is None:
            if spec in cell:
                raise _unknown(chosen, spec, np.dtype(name), precision, registry)
            continue
        if not as_json:
            click.echo(f"{spec}  {precision or name}  ", nl=False)
        begun = time.perf_counter()
        _compile(*found, np.dtype(name))
        seconds = time.perf_counter() - begun
        made.append({"code": spec, "dtype": precision or name, "kernels": found[0].name, "seconds": seconds})
        if not as_json:
            click.echo(f"{seconds:.1f} s")
    places = [each.place() for each in chosen if each.place()]
    if as_json:
        names = BOTH.join(each.name for each in chosen)
        print_json({"kernels": names, "made": made, "place": places[0] if places else None})
    else:
        click.echo(f"kept in {', '.join(places)}" if places else "not kept: no folder for it can be written to")


def _compile(kernels: Kernels, twin: Layer | Head, dtype: np.dtype[Any]) -> None:
    """Compile all that there is of a twin."""
    kernels.prepare(twin, dtype)
    for retention in get_args(TapeRetention):
        kernels.prepare_run(twin, dtype, samples=1, retention=retention, input_gradient=True)
    kernels.prepare_step(twin, dtype)
    kernels.rounding.prepare()


def _twin(
    chosen: Sequence[Kernels], spec: str, dtype: np.dtype[Any], precision: str | None, registry: Registry
) -> tuple[Kernels, Layer | Head] | None:
    """Return the first kernels with a twin, and the twin."""
    part: Any = registry.head("mse:outputs=1") if spec == HEADS else registry.cell(spec)
    for kernels in chosen:
        if precision is not None:
            twin = kernels.twin_in(part, dtype, precision)
        else:
            twin = kernels.head(part, dtype) if spec == HEADS else kernels.twin(part, dtype)
        if twin is not None:
            return kernels, twin
    return None


def _unknown(
    chosen: Sequence[Kernels], spec: str, dtype: np.dtype[Any], precision: str | None, registry: Registry
) -> OptionError:
    """Return the error of a cell for which there is no code, which names those for which there is."""
    names, products = BOTH.join(each.name for each in chosen), f" with products of {precision}" if precision else ""
    cells = [each for kernels in chosen for each in kernels.cells() if _twin(chosen, each, dtype, precision, registry)]
    known = dict.fromkeys(each.partition(":")[0] for each in cells)
    return OptionError(
        f"kernels {names!r} have none for cell {spec!r}{products}; they have some for {', '.join(known)}"
    )


def _chosen(kernels: str, registry: Registry) -> tuple[Kernels, ...]:
    chosen = choose(kernels, registry)
    if not chosen:
        reasons = [f"kernels={name!r}: {registry.kernels(name).missing()}" for name in registry.names("kernels")]
        raise OptionError("; ".join(reasons) if reasons and kernels == AUTO else f"kernels {kernels!r} need no warming")
    return chosen
