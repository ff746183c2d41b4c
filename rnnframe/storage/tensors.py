"""Arrays in safetensors files: written as bytes, read, and copied into existing arrays."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.errors import RunError
from rnnframe.storage.durable import check_plain

ABOUT = "rnnframe"
"""The one entry of a file's metadata: with several, safetensors writes them in no fixed order."""


def tensor_bytes(tensors: Arrays, about: dict[str, Any]) -> bytes:
    """Return a safetensors file; equal arrays and equal `about` make equal bytes."""
    from safetensors.numpy import save

    # safetensors writes the memory as it lies, so every array must lie in C order
    arrays = {key: np.ascontiguousarray(array) for key, array in tensors.items()}
    return save(arrays, {ABOUT: json.dumps(about)})


def read_tensors(path: Path, prefix: str = "") -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays whose names begin with `prefix`, named by the rest, and what the file says about itself.

    Raises `RunError` with the file named.
    """
    from safetensors import SafetensorError, safe_open

    try:
        check_plain(path)
        with safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  # no mapping
            arrays = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
            metadata = file.metadata() or {}
    except OSError as error:
        raise RunError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{str(path)!r} is damaged or no safetensors file: {error}") from None
    try:
        about = json.loads(metadata[ABOUT])
        if not isinstance(about, dict):
            raise ValueError(about)
    except (KeyError, ValueError, RecursionError):
        raise RunError(f"{str(path)!r} does not say what it is for; it is no file of a run") from None
    return arrays, about


def restore(target: Arrays, given: Arrays, where: str) -> None:
    """Copy arrays into others of the same names, shapes and types; raises `RunError` where they differ."""
    if set(target) != set(given):
        raise RunError(f"{where} holds the arrays {sorted(given)}; expected {sorted(target)}")
    for name, view in target.items():
        value = given[name]
        if value.shape != view.shape or value.dtype != view.dtype:
            raise RunError(
                f"{where}: {name} is {value.dtype} {list(value.shape)}; expected {view.dtype} {list(view.shape)}"
            )
        view[...] = value
