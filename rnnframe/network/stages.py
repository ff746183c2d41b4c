"""Where layers of two directions can stand: their halves meet at a head that reads the ends of a sequence.

A layer that reads both ways gives, after t steps of its sweep, h_t and the k_(n+1-t) of the other direction. Where only
the last step of a sample has a loss, and what lies above reads the ends of both directions or pools them value by
value, that is all the same: one sweep over both computes them, under every exact store.
"""

from collections.abc import Sequence

from rnnframe.contracts.head import Head
from rnnframe.errors import OptionError
from rnnframe.network.placed import PlacedLayer
from rnnframe.registry.specs import render


def check_stages(layers: Sequence[PlacedLayer], head: Head | None) -> None:
    """Raise `OptionError` where a layer would read the two directions at different steps."""
    if not any(at.layer.both_ways for at in layers):
        return
    first, above = layers[0], layers[1:]
    if not first.layer.both_ways:
        two = next(at for at in layers if at.layer.both_ways)
        raise OptionError(
            f"{two.prefix}, {render(two.layer)}, stands above {render(first.layer)}; put it first, where it reads x"
        )
    if head is None or head.loss.at != "last":
        raise OptionError(
            f"{render(first.layer)} needs a head at the last step, where both directions meet: add at=last to the loss"
        )
    above = above[bool(above) and above[0].layer.order_free :]
    for at in above:
        if at.state or at.layer.both_ways:
            raise OptionError(
                f"{at.prefix}, {render(at.layer)}, would read the two directions at different steps; "
                f"above {first.layer.name} stand mean-pool, max-pool, or layers without a state"
            )
