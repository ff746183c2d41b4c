"""Parameters that the readout shares with the first layer: one array, to which both add their gradients."""

from collections.abc import Mapping, Sequence

import attrs

from rnnframe.arrays import Array, Shapes, Vector
from rnnframe.contracts.head import Head
from rnnframe.contracts.layer import Layer
from rnnframe.errors import OptionError
from rnnframe.registry.registry import Registry
from rnnframe.registry.specs import DEFAULT_READOUT, render, with_inner_layers

FIRST = "layer0"


def tied_head(layers: Sequence[Layer], head: Head | None, registry: Registry) -> Head | None:
    """Return the head with the readout that the first layer is tied to; raises `OptionError` where there is no such."""
    for layer in with_inner_layers(layers):
        with registry.blame("cell", type(layer)):
            wanted = layer.readout
        if not wanted:
            continue
        if layer is not layers[0]:
            raise OptionError(f"{render(layer)} is tied to the readout, and stands above other layers; put it first")
        if head is None:
            raise OptionError(f"{render(layer)} is tied to the readout, and the network has no head; give it one")
        if head.readout.name not in (DEFAULT_READOUT, wanted):
            raise OptionError(
                f"{render(layer)} is tied to the readout {wanted}, and the head is {render(head)}; leave one out"
            )
        head = attrs.evolve(head, readout=registry.readout(wanted))
    return head


def own_shapes(head: Head, of_readout: Shapes, of_layers: Shapes) -> dict[str, tuple[int, ...]]:
    """Return the shapes of those parameters of a readout that it does not share.

    Raises `OptionError` where the first layer has no parameter of the name and shape of one that is shared.
    """
    for name in head.readout.shared:
        found, wanted = of_layers.get(f"{FIRST}.{name}"), tuple(of_readout[name])
        if found is None or tuple(found) != wanted:
            has = "has none" if found is None else f"has {list(found)}"
            raise OptionError(
                f"the readout {head.readout.name} shares {name} {list(wanted)} (outputs, width of the top layer) with "
                f"the first layer, which {has}; take an embedding as wide as the top layer, and one row per output"
            )
    return {f"head.{name}": shape for name, shape in of_readout.items() if name not in head.readout.shared}


def of_head(head: Head, vector: Vector) -> Mapping[str, Array]:
    """Return the parameters of a readout, or their gradients, by its own names; what is shared is that of the layer."""
    own, shared = vector.group("head"), head.readout.shared
    return own | {name: vector[f"{FIRST}.{name}"] for name in shared} if shared else own
