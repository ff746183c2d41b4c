"""A graph of ONNX while it is made: nodes, arrays, inputs and outputs."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnnframe.plugin import Array
from rnnframe_onnx.operators import IR_VERSION, OPSET

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
