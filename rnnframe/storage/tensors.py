"""Arrays in safetensors files: written as bytes, read, and copied into existing arrays."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.errors import RunError
from rnnframe.storage.durable import check_plain

ABOUT = "rnnframe"
"""The one entry of a file's metadata: with several, safetensors writes them in no fixed order."""


SUMS = "sha256"
"""The key of the checksums, by the name of an array; that of the rest has the name ""."""


def tensor_bytes(tensors: Arrays, about: dict[str, Any]) -> bytes:
    """Return a safetensors file; equal arrays and equal `about` make equal bytes."""
    from safetensors.numpy import save

    # safetensors writes the memory as it lies, so every array must lie in C order
    arrays = {key: np.ascontiguousarray(array) for key, array in tensors.items()}
    sums = {key: _digest(array) for key, array in arrays.items()} | {"": _digest_of(about)}
    return save(arrays, {ABOUT: json.dumps({**about, SUMS: sums})})


def _digest(array: Array) -> str:
    total = hashlib.sha256(f"{array.dtype} {array.shape}\0".encode())
    total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def _digest_of(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _check_sums(sums: Any, arrays: Arrays, about: dict[str, Any], prefix: str, path: Path) -> None:
    """Raise `RunError` where a file is not what was written; one from before there were checksums has none."""
    found = {prefix + name: _digest(array) for name, array in arrays.items()} | {"": _digest_of(about)}
    for name, digest in found.items():
        if not isinstance(sums, dict) or sums.get(name) != digest:
            what = f"its array {name!r}" if name else "what it says about itself"
            raise RunError(
                f"{str(path)!r} is damaged: {what} is not what was written; take a copy, or another checkpoint"
            )


def read_tensors(path: Path, prefix: str = "") -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays whose names begin with `prefix`, named by the rest, and what the file says about itself.

    Raises `RunError` with the file named.
    """
    arrays, metadata = read_arrays(path, prefix)
    try:
        about = json.loads(metadata[ABOUT])
        if not isinstance(about, dict):
            raise ValueError(about)
    except (KeyError, ValueError, RecursionError):
        raise RunError(f"{str(path)!r} does not say what it is for; it is not a file of a run") from None
    if SUMS in about:
        _check_sums(about.pop(SUMS), arrays, about, prefix, path)
    return arrays, about


def read_arrays(path: Path, prefix: str = "") -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays of any safetensors file whose names begin with `prefix`, named by the rest, and its metadata.

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
    return arrays, metadata


def restore_finite(target: Arrays, given: Arrays, where: str) -> None:
    """Do as `restore`; raise `RunError` for values that are not finite, too, as no network computes with them."""
    restore(target, given, where)
    for name, view in target.items():
        if not np.isfinite(view).all():
            wrong = view[~np.isfinite(view)][0]
            raise RunError(f"{where}: {name} holds {wrong}; expected finite numbers, as of a training that went well")


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
