"""Running the first chunks of a layer twice: a layer that gives other values the second time gives wrong gradients.

A store may run a chunk again to make its tape, so random masks and counters that a layer keeps for itself would differ
from those of the first time, and no error would say so.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

from rnnframe.contracts.layer import BlockPass
from rnnframe.errors import PluginError
from rnnframe.network.placed import PlacedLayer


class RepetitionCheck:
    """The layers that are still to be run twice: those of plugins that do not come with rnnframe.

    Each is run twice from a state of zeros, which can hide what it does to its state, and from another one.
    """

    def __init__(self, layers: Iterable[PlacedLayer]) -> None:
        self._waiting = {at.number: {False, bool(at.state)} for at in layers}

    def run(self, at: PlacedLayer, block: BlockPass) -> None:
        """Run a block of a layer again, in the same buffers, if none was so far; raises `PluginError` if it differs."""
        waiting = self._waiting.get(at.number)
        if not waiting or not block.training:
            return
        carried = any(block.tape[name][0].any() for name in at.state)
        if carried not in waiting:
            return
        waiting -= {carried, False}
        first = _digests(block)
        at.layer.forward(block)
        second = _digests(block)
        wrong = [name for name, digest in first.items() if second[name] != digest]
        if wrong:
            raise PluginError(
                f"a chunk, run twice, gave other values of {', '.join(map(repr, wrong))} the second time, so "
                "gradients would be wrong; let random masks follow from block.draw alone, and keep nothing between "
                "calls"
            )


def _digests(block: BlockPass) -> dict[str, bytes]:
    return {
        name: hashlib.blake2b(np.ascontiguousarray(array).view(np.uint8).data).digest()
        for name, array in block.tape.items()
    }
