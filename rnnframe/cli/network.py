"""The options that describe a network to the commands that plan and explain."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from rnnframe.contracts.kernels import AUTO
from rnnframe.errors import OptionError
from rnnframe.network.network import Network
from rnnframe.registry.stacks import MOST, USUAL, stacked

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS = (
    click.option(
        "--cell",
        multiple=True,
        default=USUAL,
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
        "--inputs", type=click.IntRange(min=1), default=64, show_default=True, metavar="N", help="inputs a step"
    ),
    click.option("--head", default="mse:outputs=1", show_default=True, metavar="SPEC", help="readout and loss"),
    click.option("--dtype", default="float32", show_default=True, metavar="NAME", help="float32 or float64"),
)

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
    help="what computes the cells: numpy, compiled, or auto for the fastest that can be used here",
)


def network_options(function: F) -> F:
    """Add the options of a network to a command."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def network_of(cell: tuple[str, ...], layers: str, inputs: int, head: str, dtype: str) -> Network:
    """Return the network that the options describe."""
    often: int | str = int(layers) if layers.isdecimal() else layers
    if isinstance(often, int) and not 1 <= often <= MOST:
        raise OptionError(f"layers={often} is invalid; expected a number from 1 to {MOST}, or specs of layers")
    return Network(cells=stacked(cell, often), head=head, inputs=inputs, dtype=dtype)
