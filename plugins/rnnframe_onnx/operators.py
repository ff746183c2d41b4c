"""What ONNX calls the cells, their gates and the predictions: one table for both directions.

ONNX keeps the gates of a layer as rows, [1, gates·H, inputs], in an order of its own: i o f c for LSTM, z r h for GRU.
Its biases are [1, 2·gates·H]: Wb, then Rb; they add up, but for the candidate of a GRU with linear_before_reset.
"""

from typing import Any

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, OptionError

OPSET, IR_VERSION = 18, 9
"""Of the models that are written: old enough for the runtimes in use, new enough for the attribute layout."""
OPERATORS = {"elman": "RNN", "lstm": "LSTM", "gru": "GRU", "peephole-lstm": "LSTM"}
RECURRENT = ("RNN", "LSTM", "GRU")
ORDER = {"RNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""The gates of ONNX as numbers of ours."""
PEEPHOLES = (0, 2, 1)
"""The parts i, o, f of ONNX's peepholes as numbers of ours; they exchange two, so this is their way back too."""
STATES = {"RNN": ("h",), "LSTM": ("h", "c"), "GRU": ("h",)}
"""The states in the order of an operator's inputs and outputs."""
ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "identity": "Affine"}
PREDICTIONS = {"softmax": "Softmax", "bernoulli": "Sigmoid", "mse": None}
"""The operator that makes predictions of the outputs, by the name of the loss; None where they are the outputs."""
AFFINE, TIED = "affine", "tied"
"""Readouts that can be written: the second has the rows of the embedding."""
EMBEDDING = "embedding"
"""The layer whose rows are looked up."""
FORECAST = "forecast"
"""The task whose outputs are in the units of its inputs."""
PREFIX = "rnnframe."
"""What the names of the metadata begin with."""


@attrs.frozen(eq=False)
class OperatorWeights:
    """The arrays W [1, gates·H, inputs], R [1, gates·H, H] and B [1, 2·gates·H] of an operator; P [1, 3H] or None."""

    W: Array
    R: Array
    B: Array
    P: Array | None = None


def to_operator(operator: str, parameters: Arrays) -> OperatorWeights:
    """Return the parameters of a cell as an operator has them; Rb is zero but for a GRU's bn."""
    order, b = ORDER[operator], parameters["b"]
    second = np.zeros_like(b)
    if "bn" in parameters:
        second[-len(parameters["bn"]) :] = parameters["bn"]
    biases = np.concatenate([_reordered(b, order), _reordered(second, order)])
    W, R = (_reordered(parameters[name], order).T for name in ("U", "W"))
    P = _reordered(parameters["p"], PEEPHOLES)[None] if "p" in parameters else None
    return OperatorWeights(np.ascontiguousarray(W)[None], np.ascontiguousarray(R)[None], biases[None], P)


def to_parameters(operator: str, weights: OperatorWeights, *, reset_after: bool) -> dict[str, Array]:
    """Return the arrays of an operator as the parameters of a cell."""
    back = tuple(int(gate) for gate in np.argsort(ORDER[operator]))
    first, second = (_reordered(part, back) for part in np.split(weights.B[0], 2))
    b = np.where(second == 0, first, first + second)  # -0 + 0 would be 0
    made = {"U": _reordered(weights.W[0].T, back), "W": _reordered(weights.R[0].T, back), "b": b}
    if reset_after:
        H = weights.R.shape[2]
        b[2 * H :], made["bn"] = first[2 * H :], second[2 * H :]
    if weights.P is not None:
        made["p"] = _reordered(weights.P[0], PEEPHOLES)
    return made


def cell_of(operator: str, weights: OperatorWeights, *, activation: str, reset_after: bool) -> str:
    """Return the spec of the cell that computes what an operator does; the activation is that of an RNN."""
    hidden = f"hidden={weights.R.shape[2]}"
    if operator == "RNN":
        return f"elman:{hidden},activation={activation}"
    if operator == "GRU":
        return f"gru:{hidden},reset={'after' if reset_after else 'before'}"
    return f"lstm:{hidden}" if weights.P is None else f"peephole-lstm:{hidden}"


def options_of(layer: Any, number: int) -> tuple[str, dict[str, Any]]:
    """Return the operator of a layer and its attributes; raises `OptionError` where there is none."""
    operator = OPERATORS.get(layer.name)
    if operator is None:
        known = ", ".join(OPERATORS)
        raise OptionError(f"layer{number} is a {layer.name!r}, for which ONNX has no operator; it has them for {known}")
    if getattr(layer, "projection", None):
        raise OptionError(f"layer{number} has projection={layer.projection}, which the LSTM of ONNX does not have")
    if getattr(layer, "norm", None):
        raise OptionError(f"layer{number} has norm={layer.norm}, for which ONNX has no operator")
    attributes: dict[str, Any] = {"hidden_size": layer.hidden}
    if operator == "GRU":
        attributes["linear_before_reset"] = int(layer.reset == "after")
    if operator == "RNN":
        attributes["activations"] = [ACTIVATIONS[layer.activation]]
        if layer.activation == "identity":  # alpha x + beta
            attributes |= {"activation_alpha": [1.0], "activation_beta": [0.0]}
    return operator, attributes


def refused(node: Any, why: str) -> OptionError:
    """Return the error that names a node of a model and says why it cannot be read."""
    return OptionError(f"{node.op_type} {node.name or (node.output[0] if node.output else '')!r} {why}")


def _reordered(array: Array, order: tuple[int, ...]) -> Array:
    """Return an array whose last axis holds the gates in another order."""
    gates = np.split(array, len(order), axis=-1)
    return np.concatenate([gates[gate] for gate in order], axis=-1)
