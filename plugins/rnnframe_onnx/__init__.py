"""ONNX models out and in: stacks of elman, lstm, gru and peephole-lstm, with a head, on an embedding (extra `onnx`).

Of rnnframe it imports `rnnframe.plugin`, and `rnnframe` itself inside its functions: it makes and loads networks.
"""

from pathlib import Path
from typing import Any

from click import Command

from rnnframe.plugin import hookimpl
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
        For a file that is no ONNX model, or a damaged one.
    """
    check_installed()
    from rnnframe_onnx.loading import load, network_of

    if isinstance(model, str | Path):
        return network_of(load(str(model)), repr(str(model)))
    return network_of(model, "what is given")
