"""Networks as ONNX models.

    inputs   x [T, B, inputs], or int64 [T, B] where they are looked up; "layer0.h" [B, H] and so on, the states to
             start from; with lengths, "lengths" int32 [B]
    outputs  "predictions" [T, B, outputs], [B, outputs] of the last step where the head is at=last;
             "next.layer0.h" and so on, the states to go on from

Where a layer reads both ways no states go in or out: each direction begins at its own end, with zeros or learnt values.
Learnt values that a state begins with are the default of its input, [1, H], which may be left out then.
T and B are free. A forecast of differences at a lag also takes "before" [lag, B, inputs], the rows before x, and gives
"next.before". Where a task has learnt scales, x is float64 in the units of the data, and so are forecasts: values as
large as dates keep their digits until the mean is taken off.
"""

import json
from typing import Any

import attrs
import numpy as np
import onnx
from onnx import TensorProto, helper

from rnnframe.plugin import Array, OptionError, render
from rnnframe_onnx.graph import END, Graph
from rnnframe_onnx.layers import add_layer, add_two_directions, directions, identities
from rnnframe_onnx.operators import AFFINE, EMBEDDING, FORECAST, PREDICTIONS, PREFIX, TIED


def to_onnx(
    network: Any, task: Any = None, learnt: Any = None, *, looked_up: bool = False, lengths: bool = False
) -> onnx.ModelProto:
    """Return a network as an ONNX model.

    Parameters
    ----------
    network
        An `rnnframe.Network` of layers elman, lstm, gru and peephole-lstm, perhaps above an embedding.
    task, learnt
        Those of a `TaskModel`: scales go into the graph, classes and vocabulary into the metadata.
    looked_up
        Whether x [T, B] holds row numbers of U.
    lengths
        Whether there is an input with the real steps of each sample.

    Returns
    -------
    onnx.ModelProto
        Checked, with the free sizes T and B.

    Raises
    ------
    OptionError
        For a layer, loss, readout or task that cannot be expressed; it is named.
    """
    _check_expressible(network, task, looked_up=looked_up)
    graph, kind = Graph(), helper.np_dtype_to_tensor_dtype(network.dtype)
    scale = _scale(learnt, network)
    lag = getattr(task, "difference", None) or 0
    x = _read(graph, network, kind, scale, looked_up=looked_up, lag=lag)
    if lengths:
        graph.inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"]))
    for number, cell in enumerate(network.cells):
        if number == 0 and _has_embedding(network):
            continue  # x has its rows
        parts = directions(network, number)
        if number == 0 and looked_up:
            parts = identities(parts, network.dtype)
        add = add_two_directions if network.both_ways else add_layer
        x = add(graph, number, cell, parts, x, kind, "lengths" if lengths else "")
    at_last = network.head is not None and network.head.loss.at == "last"
    _predict(graph, network, f"next.layer{len(network.cells) - 1}.h" if at_last else x, kind, task, scale, at_last)
    about = {"network": network.specs() | {"looked_up": looked_up}}
    if task is not None:
        about |= {"task": render(task), "learnt": attrs.asdict(learnt)}
    return graph.model({PREFIX + name: json.dumps(value) for name, value in about.items()})


def _has_embedding(network: Any) -> bool:
    return bool(network.cells[0].name == EMBEDDING)


def _check_expressible(network: Any, task: Any, *, looked_up: bool) -> None:
    if getattr(task, "transform", None) is not None:
        raise OptionError(f"a forecast with transform={task.transform} cannot be written as ONNX; train one without")
    head = network.head
    if head is not None and head.loss.name not in PREDICTIONS:
        known = ", ".join(PREDICTIONS)
        raise OptionError(f"predictions of loss {head.loss.name!r} cannot be written as ONNX; those of {known} can")
    if head is not None and head.readout.name not in (AFFINE, TIED):
        raise OptionError(f"readout {head.readout.name!r} cannot be written as ONNX; {AFFINE} and {TIED} can")
    if _has_embedding(network) and not looked_up:
        raise OptionError("an embedding is written for x that holds row numbers; add --looked-up, or looked_up=True")
    if _has_embedding(network) and len(network.cells) == 1:
        raise OptionError("an embedding alone cannot be written as ONNX; put a layer above it")


def _scale(learnt: Any, network: Any) -> tuple[Array, Array] | None:
    """Return mean and spread of each input, where a task has learnt them."""
    if getattr(learnt, "mean", None) is None or getattr(learnt, "spread", None) is None:
        return None
    mean, spread = np.array(learnt.mean, np.float64), np.array(learnt.spread, np.float64)
    if mean.shape != (network.inputs,) or spread.shape != mean.shape:
        raise OptionError(f"the scales are of {len(mean)} channels, and the network has inputs={network.inputs}")
    return mean, spread


def _read(
    graph: Graph, network: Any, kind: int, scale: tuple[Array, Array] | None, *, looked_up: bool, lag: int
) -> str:
    """Declare x and return the name of what the first layer reads."""
    if looked_up:
        graph.inputs.append(helper.make_tensor_value_info("x", TensorProto.INT64, ["T", "B"]))
        rows = graph.constant("layer0.U", np.concatenate([each["U"] for each in directions(network, 0)], axis=1))
        return graph.add("Gather", [rows, "x"], "rows", axis=0)
    of_x = kind if scale is None else TensorProto.DOUBLE
    graph.inputs.append(helper.make_tensor_value_info("x", of_x, ["T", "B", network.inputs]))
    if scale is None:
        return "x"
    read = _differenced(graph, network.inputs, lag) if lag else "x"
    centred = graph.add("Sub", [read, graph.constant("mean", scale[0])], "centred")
    scaled = graph.add("Div", [centred, graph.constant("spread", scale[1])], "scaled")
    return graph.add("Cast", [scaled], "standardized", to=kind)


def _differenced(graph: Graph, width: int, lag: int) -> str:
    """Declare the rows before x and those to go on from, and return the name of x less the rows `lag` before."""
    for name, declared in (("before", graph.inputs), ("next.before", graph.outputs)):
        declared.append(helper.make_tensor_value_info(name, TensorProto.DOUBLE, [lag, "B", width]))
    graph.add("Concat", ["before", "x"], "rows", axis=0)
    graph.part("rows", "next.before", -lag, END, axis=0)
    return graph.add("Sub", ["x", graph.part("rows", "rows before", 0, -lag, axis=0)], "differences")


def _restored(graph: Graph, ahead: str, width: int, horizon: int, lag: int) -> str:
    """Return the name of the values that differences forecast for 1 to `horizon` rows ahead, `width` of each, make."""
    made: list[str] = []
    for k in range(horizon):
        if k < lag:
            rows = graph.part("rows", f"rows for {k + 1} ahead", k + 1, k + 1 - lag or END, axis=0)
            base = graph.part(rows, f"base {k + 1} ahead", 0, width, axis=2)
        else:
            base = made[k - lag]
        change = graph.part(ahead, f"change {k + 1} ahead", k * width, (k + 1) * width, axis=2)
        made.append(graph.add("Add", [base, change], f"value {k + 1} ahead"))
    return graph.add("Concat", made, "values ahead", axis=2)


def _predict(
    graph: Graph, network: Any, h: str, kind: int, task: Any, scale: tuple[Array, Array] | None, at_last: bool
) -> None:
    """Add the head and the output "predictions"."""
    width = network.outputs_width
    if network.head is not None:
        if network.head.readout.name == TIED:
            V = graph.add("Transpose", ["layer0.U"], "head.V", perm=[1, 0])
        else:
            V = graph.constant("head.V", network.parameters["head.V"])
        product = graph.add("MatMul", [h, V], "product")
        h = graph.add("Add", [product, graph.constant("head.c", network.parameters["head.c"])], "outputs")
        operator = PREDICTIONS[network.head.loss.name]
        if operator is not None:
            h = graph.add(operator, [h], "probabilities", **({"axis": -1} if operator == "Softmax" else {}))
    if scale is not None and task is not None and task.name == FORECAST:
        kind = TensorProto.DOUBLE
        ahead = graph.add("Cast", [h], "ahead", to=kind)
        mean, spread = (np.tile(each[: width // task.horizon], task.horizon) for each in scale)
        spreads = graph.add("Mul", [ahead, graph.constant("spread ahead", spread)], "spread out")
        h = graph.add("Add", [spreads, graph.constant("mean ahead", mean)], "restored")
        if task.difference:
            h = _restored(graph, h, width // task.horizon, task.horizon, task.difference)
    graph.add("Identity", [h], "predictions")
    sizes = ["B", width] if at_last else ["T", "B", width]
    graph.outputs.insert(0, helper.make_tensor_value_info("predictions", kind, sizes))
