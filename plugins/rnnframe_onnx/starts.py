"""What the states of a model's operators begin with: zeros, inputs, or values that are the same for all samples.

The last are learnt starts here. They are written as an array [1, H], the default of the state's input, or for layers
that read both ways as [directions, 1, H]; Expand repeats it for all samples.
"""

from typing import Any

import numpy as np

from rnnframe.plugin import Array, Arrays
from rnnframe_onnx.operators import STATES, refused


def note_start(starts: dict[str, Array], known: Arrays, node: Any, given: set[str]) -> None:
    """Note in `starts` a state that is the same for all samples, and what it becomes on its way to an operator.

    Parameters
    ----------
    starts
        Values [directions, 1, H] by the tensors that hold them for all samples.
    known
        The constants of the model.
    node
        A node that is not on the path of the data.
    given
        The inputs of the model. Zeros are no start, unless they are the default of an input.

    Raises
    ------
    OptionError
        For a state that differs from sample to sample, and for a node that makes something else of one.
    """
    source = next(iter(node.input), "")
    value = known.get(source)
    if node.op_type == "Expand" and value is not None and (source in given or np.any(value)):
        if value.ndim not in (2, 3) or value.shape[-2] != 1:
            raise refused(node, f"makes a state of the shape {list(value.shape)}; expected one row for all samples")
        starts[node.output[0]] = value.reshape(-1, 1, value.shape[-1])
    elif any(name in starts for name in node.input):
        if node.op_type not in ("Unsqueeze", "Identity"):
            raise refused(node, "makes something else of a state that is not zero")
        starts[node.output[0]] = starts[source]


def starts_of(starts: Arrays, node: Any, directions: int, hidden: int) -> dict[str, Array]:
    """Return the values that the states of an operator begin with, by name, [directions, 1, H]; none for zeros.

    Raises
    ------
    OptionError
        For values of another shape.
    """
    names = STATES[node.op_type]
    found = {name: starts[at] for name, at in zip(names, node.input[5:7], strict=False) if at in starts}
    for value in found.values():
        if value.shape != (directions, 1, hidden):
            wanted = [directions, 1, hidden]
            raise refused(node, f"begins with states of the shape {list(value.shape)}; expected {wanted}")
    zeros = {name: np.zeros_like(next(iter(found.values()))) for name in names} if found else {}
    return zeros | found
