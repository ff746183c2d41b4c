"""The values behind a film: a real run of the loop over a small network, whose states and sums are looked at."""

from typing import Any

import attrs

from rnnframe.arrays import Array
from rnnframe.contracts.kernels import NUMPY, Kernels
from rnnframe.engine.engine import Engine
from rnnframe.engine.plan import Plan
from rnnframe.errors import OptionError
from rnnframe.inspection.comparison import batch_of
from rnnframe.network.network import Network

RATE = 0.1  # of the updates between windows


@attrs.frozen(kw_only=True)
class WatchedValues:
    """What a run computed, by array and in the order in which chunks were run.

    Parameters
    ----------
    states : tuple of dict
        After each chunk that ran forward: the state of the first sample, name -> values.
    sums : tuple of dict
        After each chunk that was reversed: the sums of the gradients so far, name -> array.
    output : str
        Which array of the states the readout receives.
    """

    states: tuple[dict[str, Array], ...]
    sums: tuple[dict[str, Array], ...]
    output: str


def watch(network: Network, plan: Plan, chunk: int | None) -> WatchedValues:
    """Run a plan once on a random batch, in one thread, and return what was seen.

    The parameters are changed where the schedule has updates, by plain gradient descent, and are put back.

    Parameters
    ----------
    network : Network
        What is run.
    plan : Plan
        Of this network.
    chunk : int or None
        The steps of a chunk that the plan was asked for.
    """
    check_one_sweep(network)
    assert plan.grid.steps is not None
    states: list[dict[str, Any]] = []
    sums: list[dict[str, Any]] = []
    watched: Any = _Watched(network, states, sums)
    x, y = batch_of(network, plan.grid.steps, plan.batch)
    engine = Engine(watched, plan.store, chunk=chunk, shards=1, kernels=NUMPY)
    before = network.parameters.flat.copy()

    def descend(gradients: Any, _: float) -> None:
        network.parameters.flat -= RATE * gradients.flat

    try:
        engine.run(x, y, None, descend)
    finally:
        network.parameters.flat[:] = before
    top = network.layers[-1]
    name = f"{top.prefix}.{top.layer.output}"
    if states and name not in states[0]:  # a layer without a state: what it passes on is in its tape alone
        name = next(iter(states[0]), "")
    return WatchedValues(states=tuple(states), sums=tuple(sums), output=name)


def check_one_sweep(network: Network) -> None:
    """Raise `OptionError` for a network that is run in stages, which do not pass a step at the same time."""
    if network.stages:
        raise OptionError(
            f"the layers of two directions are run in {len(network.stages)} stages, each over all of time, so that "
            "there is no one sweep to watch; take layers of one direction, or a head at the last step"
        )


class _Watched:
    """A network that notes the state after each chunk forward and the sums after each chunk in reverse."""

    def __init__(self, network: Any, states: list[dict[str, Any]], sums: list[dict[str, Any]]) -> None:
        self._network, self._states, self._sums = network, states, sums

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def on(self, kernels: Kernels | None) -> "_Watched":
        return _Watched(self._network.on(kernels), self._states, self._sums)

    def forward(self, weights: Any, block: Any, state: Any, tape: Any, scratch: Any) -> None:
        self._network.forward(weights, block, state, tape, scratch)
        self._states.append({name: values[0].copy() for name, values in state.items()})

    def reverse(self, weights: Any, block: Any, tape: Any, dstate: Any, gradients: Any, scratch: Any) -> float:
        loss: float = self._network.reverse(weights, block, tape, dstate, gradients, scratch)
        self._sums.append({name: values.copy() for name, values in gradients.items()})
        return loss
