"""ONNX models of anybody: loaded, checked and made a network; what is damaged is refused in one line.

onnx checks how the nodes of a graph hang together, but not all that an operator demands of its inputs and attributes.
So whatever the reading stumbles over is the model's fault, and is told as such, with the node.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx

from rnnframe.plugin import DataError, OptionError, RnnframeError
from rnnframe_onnx.reading import read_model


def load(path: str) -> onnx.ModelProto:
    """Return the model of a file; raises `DataError`."""
    with _refusing(f"cannot read {path!r} as an ONNX model"):
        mode = os.stat(path).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise OSError(errno.EINVAL, "it is a device, which may have no end; give a file")
        return onnx.load(path)


def network_of(model: onnx.ModelProto, what: str) -> tuple[Any, tuple[str, ...]]:
    """Return the network of a model, and what of the model it is without; raises `OptionError` or `DataError`."""
    import rnnframe as rf

    with _refusing(f"cannot read {what} as an ONNX model"):
        onnx.checker.check_model(model)
        read = read_model(model)
        network = rf.Network(read.cells, read.head, read.inputs, dtype=read.dtype)
        for name, value in read.parameters.items():
            if value.shape != network.parameters[name].shape:
                shapes = f"{list(value.shape)}; expected {list(network.parameters[name].shape)}"
                raise OptionError(f"the model's {name} has the shape {shapes}, for the layer below it")
            if not np.isfinite(value).all():
                raise DataError(f"{what}: {name} holds {value[~np.isfinite(value)][0]}; expected finite numbers")
            network.parameters[name][...] = value
        network.derive()
    return network, read.left_out


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Raise `DataError` for whatever else than our own errors is raised inside: protobuf, onnx and numpy have many."""
    try:
        yield
    except RnnframeError:
        raise
    except Exception as error:
        told = (getattr(error, "strerror", None) or str(error)).splitlines() or [type(error).__name__]
        raise DataError(f"{what}: {told[0]}") from error
