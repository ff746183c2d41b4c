"""The recurrent layers of a network as nodes of a graph: one operator for each, and what its states need around it."""

from typing import Any

import attrs
import numpy as np
from onnx import helper

from rnnframe.plugin import START
from rnnframe_onnx.graph import Graph
from rnnframe_onnx.operators import STATES, options_of, to_operator


def directions(network: Any, number: int) -> list[Any]:
    """Return the parameters of a layer: of its one direction, or of its two."""
    if not network.cells[number].both_ways:
        return [network.parameters.group(f"layer{number}")]
    return [network.parameters.group(f"layer{number}.{way}") for way in ("forward", "reverse")]


def identities(parts: list[Any], dtype: Any) -> list[Any]:
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


def add_two_directions(graph: Graph, number: int, cell: Any, parts: list[Any], x: str, kind: int, lengths: str) -> str:
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


def add_layer(graph: Graph, number: int, cell: Any, parts: list[Any], x: str, kind: int, lengths: str) -> str:
    """Add a layer that reads forwards: its states go in and out; those that are learnt may be left out."""
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
