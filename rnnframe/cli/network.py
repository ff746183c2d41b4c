"""The options that describe a network to the commands that plan and explain."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from rnnframe.contracts.kernels import AUTO, BFLOAT16
from rnnframe.errors import OptionError
from rnnframe.network.network import Network
from rnnframe.registry.stacks import MOST, USUAL, stacked

F = TypeVar("F", bound=Callable[..., Any])

SHARDS = click.option(
    "--shards",
    type=click.IntRange(min=1),
    metavar="N",
    help="threads that share the batch; by default one for each core that has enough work",
)

KERNELS = click.option(
    "--kernels",
    default=AUTO,
    show_default=True,
    metavar="NAME",
    help="kernels that compute the cells: numpy, compiled, names joined by +, or auto for the fastest",
)


PRECISION = click.option(
    "--precision",
    type=click.Choice([BFLOAT16]),
    help="round operands of matrix products to bfloat16, on compiled kernels; by default they are of the dtype",
)


def network_options_with(cell: str, inputs: int, head: str) -> Callable[[F], F]:
    """Return a decorator that adds the options of a network to a command, with these defaults."""
    options = (
        click.option(
            "--cell",
            multiple=True,
            default=(cell,),
            show_default=True,
            metavar="SPEC",
            help="cell of a layer; repeat it for more layers, from the input upwards",
        ),
        click.option(
            "--layers",
            default="1",
            show_default=True,
            metavar="N|SPECS",
            help="how many times to stack the cells; or all layers in one text, such as 'dropout 2*lstm:hidden=64'",
        ),
        click.option(
            "--inputs",
            type=click.IntRange(min=1),
            default=inputs,
            show_default=True,
            metavar="N",
            help="inputs per step",
        ),
        click.option("--head", default=head, show_default=True, metavar="SPEC", help="head: a loss and its readout"),
        click.option("--dtype", default="float32", show_default=True, metavar="NAME", help="float32 or float64"),
    )

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


network_options = network_options_with(USUAL[0], 64, "mse:outputs=1")


def network_of(
    cell: tuple[str, ...],
    layers: str,
    inputs: int,
    head: str,
    dtype: str,
    precision: str | None = None,
    usual: Sequence[str] = USUAL,
) -> Network:
    """Return the network that the options describe; `usual` are the cells where none are named."""
    often: int | str = int(layers) if layers.isdecimal() and len(layers) < 10 else layers
    if isinstance(often, int) and not 1 <= often <= MOST:
        raise OptionError(f"--layers {often} is invalid; expected a number from 1 to {MOST}, or specs of layers")
    cells = stacked(cell, often, usual)
    return Network(cells=cells, head=head, inputs=inputs, dtype=dtype, precision=precision)
