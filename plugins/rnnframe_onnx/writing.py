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
from onnx import TensorProto, helper, numpy_helper

from rnnframe.plugin import START, Array, OptionError, render
from rnnframe_onnx.operators import (
    AFFINE,
    EMBEDDING,
    FORECAST,
    IR_VERSION,
    OPSET,
    PREDICTIONS,
    PREFIX,
    STATES,
    TIED,
    options_of,
    to_operator,
)

END = 2**63 - 1
"""Behind the last row, for an operator that takes a part."""


class Graph:
    """Nodes in the order of their making, the arrays that they read, and what goes in and out."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.arrays: dict[str, Array] = {}

    def constant(self, name: str, value: Any) -> str:
        """Keep an array in the model and return its name."""
        self.arrays[name] = np.ascontiguousarray(value)
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def part(self, source: str, output: str, start: int, stop: int, *, axis: int) -> str:
        """Add a node that takes `start` to `stop` of an axis, and return its output's name."""
        numbers = {"start": start, "stop": stop, "axis": axis}
        names = [self.constant(f"{name} {value}", np.array([value])) for name, value in numbers.items()]
        return self.add("Slice", [source, *names], output)

    def model(self, metadata: dict[str, str]) -> onnx.ModelProto:
        """Return the whole, checked by onnx."""
        arrays = [numpy_helper.from_array(array, name) for name, array in self.arrays.items()]
        graph = helper.make_graph(self.nodes, "rnnframe", self.inputs, self.outputs, arrays)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="rnnframe", ir_version=IR_VERSION)
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model


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
        parts = _directions(network, number)
        if number == 0 and looked_up:
            parts = _identities(parts, network.dtype)
        add = _add_two_directions if network.both_ways else _add_layer
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
        rows = graph.constant("layer0.U", np.concatenate([each["U"] for each in _directions(network, 0)], axis=1))
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


def _directions(network: Any, number: int) -> list[Any]:
    """Return the parameters of a layer: of its one direction, or of its two."""
    if not network.cells[number].both_ways:
        return [network.parameters.group(f"layer{number}")]
    return [network.parameters.group(f"layer{number}.{way}") for way in ("forward", "reverse")]


def _identities(parts: list[Any], dtype: Any) -> list[Any]:
    """Return parameters of the first layer whose U choose the columns of each direction from rows that hold all."""
    made, begin, width = [], 0, sum(part["U"].shape[1] for part in parts)
    for part in parts:
        own = part["U"].shape[1]
        made.append(part | {"U": np.eye(width, own, -begin, dtype=dtype)})
        begin += own
    return made


def _constants(graph: Graph, at: str, operator: str, parts: list[Any]) -> list[str]:
    """Keep the weights of an operator, of all its directions, and return their names: W, R, B, and perhaps P."""
    found = [attrs.asdict(to_operator(operator, part), recurse=False) for part in parts]
    names = [name for name, value in found[0].items() if value is not None]
    return [graph.constant(f"{at}.{name}", np.concatenate([each[name] for each in found])) for name in names]


def _add_two_directions(graph: Graph, number: int, cell: Any, parts: list[Any], x: str, kind: int, lengths: str) -> str:
    """Add a layer of a network that reads both ways: it begins with states of zeros, and gives none to go on from."""
    at, two = f"layer{number}", len(parts) == 2
    operator, attributes = options_of(cell.layers[0] if two else cell, number)
    if two:
        attributes["direction"] = "bidirectional"
        for name in attributes.keys() & {"activations", "activation_alpha", "activation_beta"}:
            attributes[name] *= 2
    W, R, B, *P = _constants(graph, at, operator, parts)
    states = _learnt_states(graph, at, STATES[operator], parts, x) or ([""] * len(STATES[operator]) if P else [])
    given = [x, W, R, B, lengths, *states, *P]
    graph.nodes.append(helper.make_node(operator, given, [f"{at}.Y", f"last.{at}.h"], name=at, **attributes))
    if not two:
        graph.add("Squeeze", [f"last.{at}.h", graph.constant("axis 0", np.array([0]))], f"next.{at}.h")
        return graph.add("Squeeze", [f"{at}.Y", graph.constant("axis 1", np.array([1]))], f"{at}.y")
    beside = graph.add("Transpose", [f"last.{at}.h"], f"{at}.ends", perm=[1, 0, 2])
    graph.add("Reshape", [beside, graph.constant("joined ends", np.array([0, -1]))], f"next.{at}.h")
    beside = graph.add("Transpose", [f"{at}.Y"], f"{at}.directions", perm=[0, 2, 1, 3])
    return graph.add("Reshape", [beside, graph.constant("joined", np.array([0, 0, -1]))], f"{at}.y")


def _learnt_states(graph: Graph, at: str, states: tuple[str, ...], parts: list[Any], x: str) -> list[str]:
    """Return the names of the states [directions, B, H] that directions begin with; none where they are not learnt."""
    if states[0] + START not in parts[0]:
        return []
    made = []
    for state in states:
        values = np.stack([part[state + START][None] for part in parts])
        start = graph.constant(f"{at}.{state}{START}", values)
        made.append(_for_each_sample(graph, start, values.shape, x, f"first.{at}.{state}"))
    return made


def _for_each_sample(graph: Graph, start: str, shape: tuple[int, ...], x: str, output: str) -> str:
    """Add nodes that repeat an array [.., 1, H] for all samples of x [T, B, ..], and return their output's name."""
    around = [graph.constant(f"size {size}", np.array([size])) for size in (*shape[:-2], shape[-1])]
    samples = graph.add("Shape", [x], f"{output} samples", start=1, end=2)
    sizes = graph.add("Concat", [*around[:-1], samples, around[-1]], f"{output} sizes", axis=0)
    return graph.add("Expand", [start, sizes], output)


def _add_layer(graph: Graph, number: int, cell: Any, parts: list[Any], x: str, kind: int, lengths: str) -> str:
    operator, attributes = options_of(cell, number)
    at = f"layer{number}"
    W, R, B, *P = _constants(graph, at, operator, parts)
    first, second = (graph.constant(f"axis {axis}", np.array([axis])) for axis in (0, 1))
    states = [f"{at}.{name}" for name in STATES[operator]]
    for state, name in zip(states, STATES[operator], strict=True):
        start = parts[0].get(name + START)
        rows = "B" if start is None else f"1 or B of {state}"
        graph.inputs.append(helper.make_tensor_value_info(state, kind, [rows, cell.hidden]))
        graph.outputs.append(helper.make_tensor_value_info(f"next.{state}", kind, ["B", cell.hidden]))
        begun = state
        if start is not None:  # an array with the name of an input is its default
            begun = _for_each_sample(graph, graph.constant(state, start[None]), (1, cell.hidden), x, f"begun.{state}")
        graph.add("Unsqueeze", [begun, first], f"first.{state}")
    given = [x, W, R, B, lengths, *(f"first.{state}" for state in states), *P]
    made = [f"{at}.Y", *(f"last.{state}" for state in states)]
    graph.nodes.append(helper.make_node(operator, given, made, name=at, **attributes))
    for state in states:
        graph.add("Squeeze", [f"last.{state}", first], f"next.{state}")
    return graph.add("Squeeze", [f"{at}.Y", second], f"{at}.y")


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
