"""How the gradient fares on its way back through time, seen in one run of the loop over a batch.

The loop hands dL/dstate from chunk to chunk. Here it runs once, in one thread, over short chunks of a network that
notes the norm of what it is handed: at each chunk's beginning, the gradient of the loss of all later steps with
respect to the state there. Where it vanishes or grows from step to step, W is most often why: its spectral radius is
the largest absolute eigenvalue, of which powers are multiplied into the gradient (Pascanu, Mikolov & Bengio 2013,
arXiv 1211.5063). A gate that is near 0 or 1 lets little gradient through to what it was computed from; thresholds as in
Karpathy, Johnson & Fei-Fei (2015, arXiv 1506.02078).

The run has the parameters, the store, the kernels and the random masks of a training, and changes none of them.
"""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.kernels import BOTH, NUMPY
from rnnframe.contracts.store import StateStore
from rnnframe.data.batch import Batch
from rnnframe.engine.engine import Engine
from rnnframe.errors import OptionError
from rnnframe.inspection.watched import check_one_sweep
from rnnframe.network.network import Network
from rnnframe.registry.specs import render

POINTS = 64
"""Places along time at which the gradient is looked at, at most."""
CLOSED, OPEN = 0.1, 0.9
"""A gate below the one or above the other counts as saturated."""


@attrs.frozen(kw_only=True)
class GradientHealth:
    """What a look at the gradient found.

    Parameters
    ----------
    steps : tuple of int
        The steps before which the gradient was looked at, rising from 0.
    norms : mapping
        "layer0.h" and so on -> at each of them, the norm over all samples and units of the gradient of the mean loss
        of this step and all later ones with respect to the state before it.
    spectral_radius : mapping
        "layer0.W" -> largest absolute eigenvalue; where W has columns for several gates, the largest of all of them.
    saturated : mapping
        "layer0.f" -> share of the gate's values, at all steps of all samples, that are below 0.1 or above 0.9.
    seconds : float
        What the look took.
    peak_bytes : int
        What the store held at most for it; nothing of it stays.
    """

    steps: tuple[int, ...]
    norms: Mapping[str, tuple[float, ...]]
    spectral_radius: Mapping[str, float]
    saturated: Mapping[str, float]
    seconds: float
    peak_bytes: int


def check_watchable(store: StateStore, network: Network) -> None:
    """Raise `OptionError` for a store that truncates, where the gradient of a state differs from window to window.

    Also for a network of stages, whose gradients do not meet at a step.
    """
    if not store.exact:
        raise OptionError(
            f"store {store.name!r} truncates: the gradient of a state is another one in each window, so that there is "
            "nothing to watch over time; take an exact store, such as checkpoint"
        )
    check_one_sweep(network)


def gradient_health(trained: Engine[Network], batch: Batch, state: Any | None = None) -> GradientHealth:
    """Look at the gradient of a batch with the present parameters of an engine that has run it.

    Parameters
    ----------
    trained : Engine
        Its network, store and kernels are used; the random masks are those of its last run.
    batch : Batch
        Arrays of a known length.
    state : mapping or None
        What the batch begins with.
    """
    check_watchable(trained.store, trained.network)
    began = time.perf_counter()
    notes = _Notes(trained.network)
    watched: Any = _Watched(trained.network, notes)
    steps = int(np.shape(batch.x)[0] if batch.lengths is None else np.max(batch.lengths))
    kernels = BOTH.join(map(render, trained.running.kernels_used)) or NUMPY
    engine = Engine(watched, trained.store, -(-steps // POINTS), shards=1, kernels=kernels, seed=trained.seed)
    engine.draws = max(0, trained.draws - 1)
    result = engine.run(batch.x, batch.y, state, lambda *_: None, batch.lengths, batch.resets, batch.weights)
    places = tuple(sorted(notes.norms))
    names = tuple(notes.norms[places[0]])
    return GradientHealth(
        steps=places,
        norms={name: tuple(notes.norms[place][name] / (result.count or 1) for place in places) for name in names},
        spectral_radius=dict(_spectral_radii(trained.network)),
        saturated=notes.shares(),
        seconds=time.perf_counter() - began,
        peak_bytes=result.report.peak_bytes,
    )


class _Notes:
    """What is noted of the chunks of one run; a chunk that runs forward again is counted once."""

    def __init__(self, network: Network) -> None:
        self.norms: dict[int, dict[str, float]] = {}
        self._gates = [(at.number, at.prefix, at.layer.gates) for at in network.layers]
        self._seen: set[int] = set()
        self._counts: dict[str, tuple[int, int]] = {}

    def add_gates(self, start: int, pieces: Any) -> None:
        if start in self._seen:
            return
        self._seen.add(start)
        for arrays in pieces:
            for number, prefix, gates in self._gates:
                for gate, (name, columns) in gates.items():
                    values = arrays[number][name][..., columns]
                    saturated = int(np.count_nonzero((values < CLOSED) | (values > OPEN)))
                    before = self._counts.get(f"{prefix}.{gate}", (0, 0))
                    self._counts[f"{prefix}.{gate}"] = before[0] + saturated, before[1] + values.size

    def shares(self) -> dict[str, float]:
        return {name: count / (size or 1) for name, (count, size) in self._counts.items()}


class _Watched:
    """A network that notes its gates after each chunk forward, and dL/dstate after each chunk in reverse."""

    def __init__(self, network: Any, notes: _Notes) -> None:
        self._network, self._notes = network, notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def on(self, kernels: Any) -> "_Watched":
        return _Watched(self._network.on(kernels), self._notes)

    def forward(self, weights: Any, block: Any, state: Any, tape: Any, scratch: Any) -> None:
        self._network.forward(weights, block, state, tape, scratch)
        if block.pieces:  # or no sample runs any more
            self._notes.add_gates(block.pieces[0].start, tape.pieces)

    def reverse(self, weights: Any, block: Any, tape: Any, dstate: Any, gradients: Any, scratch: Any) -> float:
        loss: float = self._network.reverse(weights, block, tape, dstate, gradients, scratch)
        if block.pieces:
            self._notes.norms[block.pieces[0].start] = {name: _norm(values) for name, values in dstate.items()}
        return loss


def _norm(values: Array) -> float:
    """Return the Euclidean norm over all samples and units, in float64."""
    return math.sqrt(float(np.square(values, dtype=np.float64).sum()))


def _spectral_radii(network: Network) -> Iterator[tuple[str, float]]:
    """Yield the name of each recurrent W, [H, gates·H] beside a state of H values, with its largest |eigenvalue|.

    Of a W that sees a projection P of H values, it is that of P·W.
    """
    for at in network.layers:
        widths = {(name.rpartition(".")[0], width) for name, width in at.state.items()}
        parameters = network.parameters.group(at.prefix)
        for name, W in parameters.items():
            of, _, own = name.rpartition(".")
            P = parameters.get(f"{of}.P".removeprefix("."))
            if own == "W" and P is not None and P.shape[1:] == W.shape[:1]:
                W = P @ W
            if own == "W" and W.ndim == 2 and (of, len(W)) in widths and W.shape[1] % len(W) == 0:
                parts = np.split(W.astype(np.float64), W.shape[1] // len(W), axis=1)
                finite = np.isfinite(W).all()
                yield f"{at.prefix}.{name}", max(map(_radius, parts)) if finite else math.nan


def _radius(W: Array) -> float:
    return float(np.abs(np.linalg.eigvals(W)).max())
