"""A floor of a recurrent module: some layers of one direction, or both directions of one layer, as one autograd node.

Outputs and gradients are written where torch reads them; the backward direction is the forward one over views that
begin at the end, so that nothing is turned around in memory unless samples have lengths of their own.
"""

import threading
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
import torch

from rnnframe import Network, TwoPassEngine, default_registry
from rnnframe.plugin import Array, StateStore, UsageError
from rnnframe_torch import openmp
from rnnframe_torch.layouts import Weights, given_back, take_over

KERNELS = "compiled"


@attrs.frozen(eq=False)
class Lengths:
    """Samples of different lengths, the longest first: the steps of each, and where each row stands when turned around.

    `turned` [T·B] are row numbers of [T, B, width]: what is within a sample's length is turned around, the rest stays.
    """

    steps: Array
    turned: Array

    @classmethod
    def of(cls, steps: Array) -> "Lengths":
        """Return them for a batch whose longest sample has T steps."""
        t, b = np.ogrid[: int(steps.max()), : len(steps)]
        turned = np.where(t < steps, steps - 1 - t, t) * len(steps) + b
        return cls(steps, turned.reshape(-1))


class Floor:
    """The engines of a floor, one for each direction.

    Parameters
    ----------
    cell : str
        The spec of a layer.
    layers, inputs : int
        Layers, and the width of what the lowest reads.
    directions : int
        1, or 2 for both.
    each : int
        Tensors of a layer: 4, or 2 without biases; one more with a projection.
    dtype : torch.dtype
        float32 or float64.
    store : StateStore or str
        What is remembered for the way back.
    """

    def __init__(
        self, cell: str, layers: int, inputs: int, directions: int, each: int, dtype: Any, store: str | StateStore
    ) -> None:
        self.layers, self.each = layers, each
        self.lock = threading.RLock()
        name = str(dtype).removeprefix("torch.")
        self.kernels = default_registry().kernels(KERNELS)
        self.networks = [Network([cell] * layers, None, inputs, dtype=name) for _ in range(directions)]
        self.engines = [
            TwoPassEngine(network, store, kernels=self.kernels, together=openmp.together) for network in self.networks
        ]
        for network in self.networks:
            network.parameters.zero()  # where there are no biases, they stay so

    def forward(
        self,
        x: torch.Tensor,
        states: Weights,
        weights: Weights,
        lengths: Lengths | None,
        out: Array | None,
        **ways: Any,
    ) -> list[Any]:
        """Run all directions forward; return a sweep for each. `out` [T, B, directions · H] takes the outputs."""
        sweeps, count = [], len(self.engines)
        for number, engine in enumerate(self.engines):
            turn = number == 1
            take_over(self.networks[number].parameters, self._own(weights, number), self.each, self.kernels)
            names = ("h", "c")[: len(states)]
            state = {
                f"layer{layer}.{name}": _numbers(tensor[layer * count + number])
                for layer in range(self.layers)
                for name, tensor in zip(names, states, strict=True)
            }
            steps = None if lengths is None else lengths.steps
            given, room = _seen(_numbers(x), lengths, turn), None
            if out is not None:
                width = out.shape[-1] // count
                part = out[..., width * number : width * (number + 1)]
                room = np.zeros_like(part) if turn and lengths else part[::-1] if turn else part
            sweeps.append(
                engine.sweep(given, _into(room), state=state, lengths=steps, threads=torch.get_num_threads(), **ways)
            )
            if turn and lengths and room is not None:
                part[...] = _turned(room, lengths)
        return sweeps

    def back(
        self,
        sweeps: Sequence[Any],
        weights: Weights,
        lengths: Lengths | None,
        dout: Array | None,
        dstates: Sequence[torch.Tensor | None],
        dx: Array | None,
    ) -> tuple[list[torch.Tensor], list[Any]]:
        """Run all directions back; return the gradients of the weights, and dL/dstate before, direction by direction.

        dL/dx is added to `dx`.
        """
        gradients: list[torch.Tensor] = []
        before = []
        for number, sweep in enumerate(sweeps):
            turn, count = number == 1, len(self.engines)
            if not sweep.is_latest:
                take_over(self.networks[number].parameters, self._own(weights, number), self.each, self.kernels)
            arriving = {name: np.zeros_like(value) for name, value in sweep.state.items()}
            for name, value in arriving.items():
                layer, _, kind = name.removeprefix("layer").partition(".")
                slope = dstates["hc".index(kind)]
                if slope is not None:
                    value[...] = _numbers(slope[int(layer) * count + number])
            slopes = None
            if dout is not None:
                width = dout.shape[-1] // count
                slopes = _seen(dout[..., width * number : width * (number + 1)], lengths, turn)
            room = None if dx is None else np.zeros_like(dx) if turn and lengths else dx[::-1] if turn else dx
            found = sweep.back(
                _from(slopes),
                input_gradient=None if room is None else _into(room, add=turn and not lengths),
                state_gradient=arriving,
                copied=False,
            )
            if turn and lengths and dx is not None and room is not None:
                dx += _turned(room, lengths)
            gradients += given_back(found.gradients, self.layers, self.each, self.kernels)
            before.append(found.state_gradient)
        return gradients, before

    def _own(self, weights: Weights, number: int) -> Weights:
        count = self.layers * self.each
        return weights[number * count : (number + 1) * count]

    def joined(self, states: Sequence[Any], name: str) -> torch.Tensor:
        """Return one array of the states of all directions as torch has it, [layers · directions, B, H]."""
        rows = [state[f"layer{layer}.{name}"] for layer in range(self.layers) for state in states]
        return torch.from_numpy(np.stack(rows))


def _numbers(tensor: torch.Tensor) -> Array:
    """Return the numbers of a tensor, which may be a view with its signs turned."""
    numbers: Array = tensor.detach().resolve_neg().numpy()
    return numbers


def _seen(values: Array, lengths: Lengths | None, turn: bool) -> Array:
    """Return [T, B, width] as a direction reads it."""
    if not turn:
        return values
    return values[::-1] if lengths is None else _turned(values, lengths)


def _turned(values: Array, lengths: Lengths) -> Array:
    turned: Array = values.reshape(-1, values.shape[-1])[lengths.turned].reshape(values.shape)
    return turned


def _into(room: Array | None, *, add: bool = False) -> Any:
    """Return a function that puts parts where they belong."""

    def put(part: Any, values: Array) -> None:
        if room is None:
            return
        if add:
            room[part.index] += values
        else:
            room[part.index] = values

    return put


def _from(slopes: Array | None) -> Any:
    """Return a function that gives the parts of a gradient; zeros where there is none."""

    def pull(part: Any, outputs: Array) -> Array:
        return np.broadcast_to(outputs.dtype.type(0), outputs.shape) if slopes is None else slopes[part.index]

    return pull


def run_floor(
    floor: Floor, x: torch.Tensor, states: Weights, weights: Weights, lengths: Lengths | None
) -> tuple[torch.Tensor, ...]:
    """Return the outputs of a floor [T, B, directions · H], and its states after the last step of each sample.

    Parameters
    ----------
    floor : Floor
        What runs.
    x : Tensor
        [T, B, inputs].
    states : sequence of Tensor
        h, or h and c: [layers · directions, B, H] each.
    weights : sequence of Tensor
        Of direction after direction, in each of layer after layer.
    lengths : Lengths or None
        None where all samples have T steps.
    """
    tensors = (x, *states, *weights)
    goes_back = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    found: tuple[torch.Tensor, ...] = _Floor.apply(floor, lengths, len(states), goes_back, *tensors)
    return found


def _outputs(
    floor: Floor, x: torch.Tensor, states: Weights, weights: Weights, lengths: Lengths | None, **ways: Any
) -> tuple[list[Any], tuple[torch.Tensor, ...]]:
    width = states[0].shape[-1] * len(floor.engines)
    made = torch.empty if lengths is None else torch.zeros  # what stands behind a sample's end is never written
    out = made(*x.shape[:2], width, dtype=x.dtype)
    sweeps = floor.forward(x, states, weights, lengths, out.numpy(), **ways)
    ended = [sweep.state for sweep in sweeps]
    return sweeps, (out, *(floor.joined(ended, name) for name in ("h", "c")[: len(states)]))


class _Floor(torch.autograd.Function):
    """The node of a floor in the caller's graph."""

    @staticmethod
    def forward(ctx: Any, floor: Floor, lengths: Lengths | None, count: int, goes_back: bool, *tensors: Any) -> Any:
        x, states, weights = tensors[0], tensors[1 : 1 + count], tensors[1 + count :]
        if not goes_back:
            with floor.lock:
                return _outputs(floor, x, states, weights, lengths, goes_back=False)[1]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.floor, ctx.lengths, ctx.count = floor, lengths, count
        ctx.wants_x = ctx.needs_input_grad[4]
        with floor.lock:
            ctx.sweeps, found = _outputs(floor, x, states, weights, lengths, input_gradient=ctx.wants_x)
        return found

    @staticmethod
    def backward(ctx: Any, dout: Any, *dstates: Any) -> Any:
        if torch.is_grad_enabled():
            raise UsageError(
                "a compiled recurrent module has no second derivative; call backward or grad without create_graph"
            )
        floor, lengths, tensors = ctx.floor, ctx.lengths, ctx.saved_tensors  # raises where they are gone or changed
        x, states, weights = tensors[0], tensors[1 : 1 + ctx.count], tensors[1 + ctx.count :]
        with floor.lock:
            sweeps, ctx.sweeps = ctx.sweeps, None
            if sweeps is None:  # once more, as after retain_graph=True
                sweeps = floor.forward(x, states, weights, lengths, None, input_gradient=ctx.wants_x)
            dx = None
            if ctx.wants_x:
                dx = (torch.empty if lengths is None else torch.zeros)(*x.shape, dtype=x.dtype)
            gradients, before = floor.back(
                sweeps,
                weights,
                lengths,
                None if dout is None else _numbers(dout),
                dstates,
                None if dx is None else dx.numpy(),
            )
        wanted = ctx.needs_input_grad[5 : 5 + ctx.count]
        into = [floor.joined(before, name) if want else None for name, want in zip("hc", wanted, strict=False)]
        return (None, None, None, None, dx, *into, *gradients)
