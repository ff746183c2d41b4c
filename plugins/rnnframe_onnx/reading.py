"""ONNX models as networks: the data are followed from their input, node by node; what is not known is refused."""

import json
import re
from typing import Any

import attrs
import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnnframe.plugin import Arrays, OptionError, RnnframeError
from rnnframe_onnx.operators import (
    AFFINE,
    EMBEDDING,
    PREFIX,
    RECURRENT,
    TIED,
    refused,
)
from rnnframe_onnx.path import HEADS, SCALING, DataPath, follow
from rnnframe_onnx.starts import note_start

BESIDE = ("Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "ConstantOfShape", "Expand", "Slice", "Cast", "Identity")
"""What may make an initial state or its shape."""


@attrs.frozen(eq=False)
class Read:
    """What a model is made of: specs, the parameters by name, and what a network does not have."""

    cells: tuple[str, ...]
    head: str | None
    inputs: int
    dtype: str
    parameters: Arrays
    left_out: tuple[str, ...]
    """Operators that scale inputs or predictions: the network takes scaled values and gives them."""


def read_model(model: onnx.ModelProto) -> Read:
    """Return what a model is made of; raises `OptionError` for what no network here computes."""
    known = {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}
    path = DataPath(known, {}, _shapes(model))
    data = [each.name for each in model.graph.input if each.name not in known]
    beside: set[str] = set(data)
    given = {each.name for each in model.graph.input}
    first = _first_input(model, known, data)
    path.axes[first], path.stages[first] = None, 0  # the axes are told by the first recurrent operator
    for node in model.graph.node:
        try:
            _take(path, node, beside, given)
        except RnnframeError:
            raise
        except Exception as error:
            raise refused(node, f"has inputs or attributes that do not fit it: {error!r}") from error
    if not path.cells:
        raise OptionError("the model has no RNN, LSTM or GRU on the path of its input; there is nothing to read")
    if not any(path.stages.get(each.name) == path.stage for each in model.graph.output):
        raise OptionError("no output of the model is what its last layer or head computes; give a model of one path")
    return _read(path, model)


def _take(path: DataPath, node: Any, beside: set[str], given: set[str]) -> None:
    """Take one node, whether it is on the path or `beside` it; `given` are the inputs of the model."""
    known = path.known
    on_path = [name for name in node.input if name in path.axes]
    if node.op_type == "Constant":
        known[node.output[0]] = np.asarray(_constant(node))
    elif not on_path and node.op_type == "Transpose" and node.input[0] in known:
        perm = next((helper.get_attribute_value(each) for each in node.attribute), None)
        known[node.output[0]] = known[node.input[0]].transpose(perm)
    elif not on_path:
        _check_beside(node, beside | set(known))
        note_start(path.starts, known, node, given)
        beside.update(node.output)
    elif node.op_type == "Shape":
        beside.update(node.output)
    elif len(on_path) > 1:
        raise refused(node, f"joins {' and '.join(map(repr, on_path))}; expected one path from layer to layer")
    else:
        stage = path.stages[on_path[0]]
        if _computes(path, node):
            if stage != path.stage:
                raise refused(node, f"goes on from {on_path[0]!r}, which is not what the last layer computes")
            path.stage = stage = stage + 1
        follow(path, node, on_path[0])
        path.stages.update({output: stage for output in node.output if output in path.axes})


def _computes(path: DataPath, node: Any) -> bool:
    """Whether a node makes other values of those on the path, and does not move or choose them alone."""
    rows = node.op_type == "Gather" and path.known.get(node.input[0]) is not None
    return rows or node.op_type in (*RECURRENT, "MatMul", "Gemm", *SCALING, *HEADS)


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Return what onnx infers of the shapes of tensors, where they are numbers throughout."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {each.name: each.type.tensor_type.shape.dim for each in (*inferred.value_info, *inferred.output)}
    return {
        name: [int(each.dim_value) for each in dimensions]
        for name, dimensions in shapes.items()
        if all(each.HasField("dim_value") for each in dimensions)
    }


def _read(path: DataPath, model: onnx.ModelProto) -> Read:
    own = _own_network(model)
    embedding = _own_embedding(path, own)
    if embedding is not None:
        return _with_embedding(path, embedding, own)
    ways = [name for name in ("layer0.U", "layer0.forward.U", "layer0.reverse.U") if name in path.parameters]
    U = path.parameters[ways[0]]
    if path.rows is not None:
        for name in ways:
            path.parameters[name] = np.matmul(path.rows, path.parameters[name], dtype=np.float64).astype(U.dtype)
    head = _read_head(path, own, AFFINE)
    inputs = len(path.parameters[ways[0]])
    return Read(tuple(path.cells), head, inputs, str(U.dtype), path.parameters, tuple(path.left_out))


def _with_embedding(path: DataPath, embedding: str, own: dict[str, Any]) -> Read:
    """Return what a model is made of whose rows are those of an embedding, below all other layers."""
    assert path.rows is not None
    rows, tied = path.rows, "tie=true" in embedding.split(",")
    numbered = {
        re.sub(r"^layer(\d+)", lambda at: f"layer{int(at[1]) + 1}", name): value
        for name, value in path.parameters.items()
    }
    path.parameters = {"layer0.U": rows, **numbered}
    head = _read_head(path, own, TIED if tied else AFFINE)
    if tied:
        del path.parameters["head.V"]
    cells = (embedding, *path.cells)
    return Read(cells, head, len(rows), str(rows.dtype), path.parameters, tuple(path.left_out))


def _read_head(path: DataPath, own: dict[str, Any], readout: str) -> str | None:
    """Return the head that was found, and put its arrays to the parameters; None where there is none."""
    if path.V is None and path.loss is not None:
        raise OptionError(f"the model has {path.loss} without a product before it; a head here is a product and a loss")
    if path.V is None:
        return None
    width, loss = path.V.shape[1], path.loss or "mse"
    c = np.zeros(width, path.V.dtype) if path.c is None else path.c
    path.parameters |= {"head.V": path.V, "head.c": c}
    number = f"{'classes' if loss == 'softmax' else 'outputs'}={width}"
    return _own_head(own, loss, width, readout) or f"{loss}:{number},at={'last' if path.at_last else 'every'}"


def _own_network(model: onnx.ModelProto) -> dict[str, Any]:
    """Return the specs that rnnframe has written into the metadata; nothing where it has not, or not as it does."""
    for entry in model.metadata_props:
        if entry.key == f"{PREFIX}network":
            try:
                found = json.loads(entry.value)
            except ValueError:
                return {}
            return found if isinstance(found, dict) else {}
    return {}


def _own_head(own: dict[str, Any], loss: str, width: int, readout: str) -> str | None:
    """Return the head of the metadata, where it is that of the graph."""
    name, _, text = str(own.get("head")).partition(":")
    options = set(text.split(","))
    fits = {f"classes={width}", f"outputs={width}"} & options and (f"readout={TIED}" in options) == (readout == TIED)
    return f"{name}:{text}" if name == loss and fits else None


def _own_embedding(path: DataPath, own: dict[str, Any]) -> str | None:
    """Return the embedding of the metadata, where the graph has its rows, and the product of its head if it is tied."""
    cells = own.get("cells")
    spec = str(cells[0]) if isinstance(cells, list) and cells else ""
    name, _, text = spec.partition(":")
    options = set(text.split(","))
    if name != EMBEDDING or path.rows is None or f"size={path.rows.shape[-1]}" not in options:
        return None
    tied = "tie=true" in options
    return spec if not tied or (path.V is not None and np.array_equal(path.V.T, path.rows)) else None


def _first_input(model: onnx.ModelProto, known: Arrays, data: list[str]) -> str:
    """Return the input that the first recurrent operator reads, through any operators that lie between."""
    made_by = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type in RECURRENT:
            name = node.input[0]
            while name in made_by:
                maker = made_by[name]
                sources = [each for each in maker.input if each and each not in known]
                sources = [each for each in sources if each not in made_by or made_by[each].op_type != "Constant"]
                if not sources:
                    break
                name = sources[0]
            if name in data:
                return str(name)
    raise OptionError("the model has no RNN, LSTM or GRU on the path of its input; there is nothing to read")


def _check_beside(node: Any, there: set[str]) -> None:
    """Let a node pass that makes an initial state of zeros or of inputs; anything else is refused."""
    if node.op_type not in BESIDE or any(name and name not in there for name in node.input):
        raise refused(node, "is not part of a network here")
    for each in node.attribute:
        if node.op_type == "ConstantOfShape" and np.any(numpy_helper.to_array(each.t)):
            raise refused(node, "makes a state that is not zero")


def _constant(node: Any) -> Any:
    (attribute,) = node.attribute
    value = helper.get_attribute_value(attribute)
    return numpy_helper.to_array(value) if attribute.name == "value" else value
