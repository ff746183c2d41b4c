"""ONNX models out and in: stacks of elman, lstm, gru and peephole-lstm, with a head, on an embedding (extra `onnx`).

Of rnnframe it imports `rnnframe.plugin`, and `rnnframe` itself inside its functions: it makes and loads networks.
"""

from pathlib import Path
from typing import Any

from click import Command

from rnnframe.plugin import DataError, OptionError, hookimpl
from rnnframe_onnx.commands import check_installed, export_command, import_command


@hookimpl
def rnnframe_commands() -> list[Command]:
    """`rnnframe export` and `rnnframe import`."""
    return [export_command, import_command]


def to_onnx(network: Any, task: Any = None, learnt: Any = None, **options: bool) -> Any:
    """Return a network as an `onnx.ModelProto`; `rnnframe_onnx.writing.to_onnx` has the parameters."""
    check_installed()
    from rnnframe_onnx.writing import to_onnx as write

    return write(network, task, learnt, **options)


def from_onnx(model: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the network of an ONNX model, and what of the model it is without.

    Parameters
    ----------
    model
        An `onnx.ModelProto`, or the path of one.

    Returns
    -------
    tuple of Network and tuple of str
        Whatever the layout of the operators, x is time first, [T, B, inputs].

    Raises
    ------
    OptionError
        For an operator, attribute or input that no network here has; it is named.
    DataError
        For a file that is no ONNX model.
    """
    check_installed()
    import onnx

    import rnnframe as rf
    from rnnframe_onnx.reading import read_model

    if isinstance(model, str | Path):
        try:
            loaded = onnx.load(str(model))
            onnx.checker.check_model(loaded)
        except Exception as error:  # protobuf, onnx and the system have errors of their own
            line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"cannot read {str(model)!r} as an ONNX model: {line}") from None
        model = loaded
    read = read_model(model)
    network = rf.Network(read.cells, read.head, read.inputs, dtype=read.dtype)
    for name, value in read.parameters.items():
        if value.shape != network.parameters[name].shape:
            shapes = f"{list(value.shape)}; expected {list(network.parameters[name].shape)}"
            raise OptionError(f"the model's {name} has the shape {shapes}, for the layer below it")
        network.parameters[name][...] = value
    network.derive()
    return network, read.left_out
