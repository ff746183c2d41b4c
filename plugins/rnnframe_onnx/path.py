"""The path of the data through an ONNX model: what each operator does to its axes, and what it brings to a network.

Each tensor on the path has named axes, such as ("T", "B", "features"). A recurrent operator with layout 0 must find
time first, one with layout 1 the batch first, and a second one must find them as the first has left them: a model that
exchanges the two in between is not read as something else.
"""

from typing import Any

import attrs
import numpy as np
from onnx import helper

from rnnframe.plugin import START, Array
from rnnframe_onnx.operators import (
    ACTIVATIONS,
    RECURRENT,
    OperatorWeights,
    cell_of,
    refused,
    to_parameters,
)
from rnnframe_onnx.starts import starts_of

PLAIN = {"clip": None, "input_forget": 0}
"""Attributes that must have these values: no cell has what others mean."""
DIRECTIONS = {b"forward": ("",), b"bidirectional": ("forward.", "reverse.")}
"""What the names of a layer's parameters begin with, by the attribute direction."""
USUAL = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
HEADS = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "bernoulli"}
"""The loss by the operator that makes predictions of the outputs."""
KEPT = ("Identity", "Dropout", "Cast")
"""Operators that leave values as they are where nothing is trained."""
SCALING = ("Sub", "Div", "Mul", "Add")
AXES = (("T", "B", "features"), ("B", "T", "features"))
"""The axes of x by the attribute layout."""


@attrs.define(eq=False)
class DataPath:
    """How far the data have been followed: where each tensor stands, and what was found on the way."""

    known: dict[str, Array]
    axes: dict[str, tuple[str, ...] | None]
    shapes: dict[str, list[int]]
    """Sizes of the tensors whose sizes are all numbers."""
    stages: dict[str, int] = attrs.field(factory=dict)
    """How many layers and other computations are behind each tensor of the path: the next one must go on from the last.

    Otherwise a layer beside the path, or a second path, would be read as part of one stack.
    """
    stage: int = 0
    cells: list[str] = attrs.field(factory=list)
    parameters: dict[str, Array] = attrs.field(factory=dict)
    starts: dict[str, Array] = attrs.field(factory=dict)
    """Learnt values that states begin with, [directions, 1, H]: by the tensors that hold them for all samples."""
    rows: Array | None = None
    V: Array | None = None
    c: Array | None = None
    loss: str | None = None
    at_last: bool = False
    left_out: list[str] = attrs.field(factory=list)
    width: int = 0
    """Of the outputs of the last layer, both directions together."""


def follow(path: DataPath, node: Any, source: str) -> None:
    """Take one node on the path."""
    axes, about = path.axes[source], {each.name: helper.get_attribute_value(each) for each in node.attribute}
    known = [path.known.get(name) for name in node.input]
    op = node.op_type
    if op in RECURRENT:
        _recurrent(path, node, about)
    elif op in KEPT:
        path.axes[node.output[0]] = axes
    elif op == "Gather" and not path.cells and path.rows is None and known[0] is not None:
        path.rows, path.axes[node.output[0]] = known[0], None
    elif op == "Gather" and axes and known[1] is not None and known[1].shape == () and int(known[1]) == -1:
        axis = int(about.get("axis", 0))
        if axes[axis] != "T":
            raise refused(node, f"takes the last entry of axis {axes[axis]}")
        if path.cells[-1].startswith("bidirectional"):
            raise refused(
                node,
                "takes the last step of both directions, where one has only begun; a head here reads the ends, Y_h",
            )
        path.at_last, path.axes[node.output[0]] = True, (*axes[:axis], *axes[axis + 1 :])
    elif op == "Transpose":
        path.axes[node.output[0]] = _transposed(path, node, axes, list(about.get("perm", ())))
    elif op == "Squeeze" and axes:
        given = about.get("axes", known[1] if len(known) > 1 else None)
        dropped = [int(axis) % len(axes) for axis in given] if given is not None else []
        if [axes[axis] for axis in dropped] != ["1"]:
            raise refused(node, "takes away an axis other than that of the directions")
        path.axes[node.output[0]] = tuple(name for name in axes if name != "1")
    elif op == "Reshape" and axes and "1" in axes:
        path.axes[node.output[0]] = _reshaped(path, node, axes, known[1])
    elif op == "Reshape" and axes and "2" in axes:
        path.axes[node.output[0]] = _joined(path, node, axes, known[1])
    elif op in ("MatMul", "Gemm", *SCALING, *HEADS):
        _head(path, node, about, axes, known)
    else:
        raise refused(node, "is not part of a network here")


def _transposed(path: DataPath, node: Any, axes: tuple[str, ...] | None, perm: list[int]) -> tuple[str, ...] | None:
    if axes is None:  # before the first operator: batch first outside, or time first
        if perm != [1, 0, 2] and perm != [1, 0]:
            raise refused(node, f"has perm={perm}; expected [1, 0, 2] before a recurrent operator")
        return None
    made = tuple(axes[place] for place in perm)
    if not perm or made[-1] != "features":
        raise refused(node, f"has perm={perm}, which moves the features")
    return made


def _reshaped(path: DataPath, node: Any, axes: tuple[str, ...], shape: Array | None) -> tuple[str, ...]:
    """Return the axes behind a Reshape, which may take away the axis of the directions and nothing else."""
    kept = [place for place, name in enumerate(axes) if name != "1"]
    sizes = path.shapes.get(node.input[0])
    if shape is None or sizes is None:
        raise refused(node, "has a shape that is no constant; export the model with fixed sizes, or with dynamo=False")
    if [int(size) for size in shape] != [sizes[place] for place in kept]:
        raise refused(node, "does more than take away the axis of the directions")
    return tuple(axes[place] for place in kept)


def _joined(path: DataPath, node: Any, axes: tuple[str, ...], shape: Array | None) -> tuple[str, ...]:
    """Return the axes behind a Reshape that puts the outputs of two directions side by side, and does nothing else."""
    sizes = path.shapes.get(node.input[0], [-2] * len(axes))
    wanted = [*((0, size) for size in sizes[:-2]), (-1, path.width)]
    fits = shape is not None and len(shape) == len(wanted)
    if axes[-2:] != ("2", "features") or shape is None or not fits:
        raise refused(node, "does not put the two directions side by side as features")
    if not all(int(size) in allowed for size, allowed in zip(shape, wanted, strict=True)):
        raise refused(node, "does more than put the two directions side by side")
    return (*axes[:-2], "features")


def _recurrent(path: DataPath, node: Any, about: dict[str, Any]) -> None:
    op, layout, number = node.op_type, int(about.get("layout", 0)), len(path.cells)
    if path.axes[node.input[0]] not in (None, AXES[layout]):
        raise refused(node, f"has layout={layout}, and finds the axes {', '.join(path.axes[node.input[0]] or ())}")
    if path.V is not None:
        raise refused(node, "stands behind a product of another layer")
    for name, plain in PLAIN.items():
        if about.get(name, plain) != plain:
            value = about[name].decode() if isinstance(about[name], bytes) else about[name]
            raise refused(node, f"has {name}={value}, which no cell here has")
    direction = about.get("direction", b"forward")
    if direction not in DIRECTIONS:
        raise refused(node, f"has direction={direction.decode()}, which no cell here has")
    ways = DIRECTIONS[direction]
    activation = _activation(node, op, about, len(ways))
    arrays = [path.known.get(name) if name else None for name in node.input]
    arrays += [None] * (8 - len(arrays))
    W, R, optional = arrays[1], arrays[2], (place for place in (3, 7) if place < len(node.input) and node.input[place])
    if W is None or R is None or any(arrays[place] is None for place in optional):
        raise refused(node, "has weights that are not constants")
    if any(state is not None and np.any(state) for state in arrays[5:7]):
        raise refused(node, "has a constant initial state that is not zero")
    starts = starts_of(path.starts, node, len(ways), R.shape[2])
    B = np.zeros((len(ways), 2 * R.shape[1]), R.dtype) if arrays[3] is None else arrays[3]
    if not len(W) == len(R) == len(B) == len(ways):
        raise refused(node, f"has weights of {len(W)} directions; expected {len(ways)}")
    after = op == "GRU" and bool(about.get("linear_before_reset", 0))
    for k, way in enumerate(ways):
        own = slice(k, k + 1)
        weights = OperatorWeights(W[own], R[own], B[own], None if arrays[7] is None else arrays[7][own])
        made = to_parameters(op, weights, reset_after=after)
        made |= {f"{name}{START}": values[k, 0] for name, values in starts.items()}
        path.parameters |= {f"layer{number}.{way}{name}": value for name, value in made.items()}
        cell = cell_of(op, weights, activation=activation, reset_after=after) + (",start=learnt" if starts else "")
    path.cells.append(cell if len(ways) == 1 else f"bidirectional({cell})")
    path.width = len(ways) * R.shape[2]
    each = str(len(ways))
    directions = (("T", each, "B", "features"), ("B", "T", each, "features"))[layout]
    finals = ((each, "B", "features"), ("B", each, "features"))[layout]
    for output, axes in zip(node.output, (directions, finals, finals), strict=False):
        if output:
            path.axes[output] = axes


def _activation(node: Any, op: str, about: dict[str, Any], directions: int) -> str:
    """Return the activation of an RNN, "" where it is the usual one of another operator."""
    functions = [each.decode() for each in about.get("activations", [])] or USUAL[op] * directions
    each = functions[: len(functions) // directions]
    names = {theirs: ours for ours, theirs in ACTIVATIONS.items()}
    slope = {*about.get("activation_alpha", ())} == {1.0} and {*about.get("activation_beta", ())} == {0.0}
    fits = each == USUAL[op] or (op == "RNN" and len(each) == 1 and each[0] in names)
    if not fits or functions != each * directions or (each == ["Affine"] and not slope):
        raise refused(node, f"has activations={functions}, which no cell here has")
    return names.get(each[0], "")


def _head(
    path: DataPath, node: Any, about: dict[str, Any], axes: tuple[str, ...] | None, known: list[Array | None]
) -> None:
    op, constant = node.op_type, next((array for array in known if array is not None), None)
    path.axes[node.output[0]] = axes
    if op in HEADS and path.V is not None and path.loss is None:
        if op != "Sigmoid" and axes and int(about.get("axis", -1)) not in (-1, len(axes) - 1):
            raise refused(node, "is not taken over the classes")
        path.loss = HEADS[op]
        if op == "LogSoftmax":
            path.left_out.append("the logarithm of the predictions")
    elif op in ("MatMul", "Gemm") and path.cells and path.V is None and axes and known[1] is not None:
        usual = {"alpha": 1.0, "beta": 1.0, "transA": 0}
        if {"1", "2"} & {*axes} or any(about.get(name, value) != value for name, value in usual.items()):
            raise refused(node, "is not the product of a head")
        path.V = known[1].T if about.get("transB", 0) else known[1]
        path.c = known[2] if len(known) > 2 else None
        path.at_last = "T" not in axes
    elif op == "Add" and path.V is not None and path.c is None and path.loss is None and constant is not None:
        path.c = np.broadcast_to(constant, path.V.shape[1])
    elif op in SCALING and constant is not None and (not path.cells or path.c is not None):
        path.left_out.append(f"{op} {'before the first layer' if not path.cells else 'behind the head'}")
    else:
        raise refused(node, "is not part of a network here")
