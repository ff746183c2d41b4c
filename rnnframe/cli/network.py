"""The options that describe a network to the commands that plan and explain."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from rnnframe.contracts.kernels import AUTO
from rnnframe.errors import OptionError
from rnnframe.network.network import Network
from rnnframe.registry.stacks import MOST, USUAL, stacked

F = TypeVar("F", bound=Callable[..., Any])

SHARDS = click.option(
    "--shards",
    type=click.IntRange(min=1),
    metavar="N",
    help="threads that share the batch; by default as many as cores, if each has enough to do",
)

KERNELS = click.option(
    "--kernels",
    default=AUTO,
    show_default=True,
    metavar="NAME",
    help="what computes the cells: numpy, compiled, names with + between them, or auto for the best of each cell",
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
            help="cell of a layer; several from the input upwards",
        ),
        click.option(
            "--layers",
            default="1",
            show_default=True,
            metavar="N|SPECS",
            help="how often the cells are stacked; or all layers in one text, such as 'dropout 2*lstm:hidden=64'",
        ),
        click.option(
            "--inputs", type=click.IntRange(min=1), default=inputs, show_default=True, metavar="N", help="inputs a step"
        ),
        click.option("--head", default=head, show_default=True, metavar="SPEC", help="readout and loss"),
        click.option("--dtype", default="float32", show_default=True, metavar="NAME", help="float32 or float64"),
    )

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


network_options = network_options_with(USUAL[0], 64, "mse:outputs=1")


def network_of(
    cell: tuple[str, ...], layers: str, inputs: int, head: str, dtype: str, usual: Sequence[str] = USUAL
) -> Network:
    """Return the network that the options describe; `usual` are the cells where none are named."""
    often: int | str = int(layers) if layers.isdecimal() else layers
    if isinstance(often, int) and not 1 <= often <= MOST:
        raise OptionError(f"layers={often} is invalid; expected a number from 1 to {MOST}, or specs of layers")
    return Network(cells=stacked(cell, often, usual), head=head, inputs=inputs, dtype=dtype)
