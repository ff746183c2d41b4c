"""The names of a state dict of PyTorch: which modules it has, and each array taken once."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.data.foreign import as_array
from rnnframe.errors import UsageError

RECURRENT = re.compile(r"(?:(.*)\.)?weight_hh_l0")
NUMBERED = re.compile(r"(.*?)\.?(\d+)")


def within(module: str, name: str) -> str:
    """Return the name of an array of a module; "" is the model itself."""
    return f"{module}.{name}" if module else name


class StateNames:
    """The arrays of a state dict, each taken once."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        for name in given:
            if not isinstance(name, str):
                raise UsageError(
                    f"the state dict has an array by the name {name!r}; expected text, as 'rnn.weight_ih_l0'"
                )
        self.left = {name: np.asarray(as_array(value, f"the state dict's {name!r}")) for name, value in given.items()}
        self.dtype = self._dtype()

    def _dtype(self) -> str:
        types = {str(array.dtype) for array in self.left.values()}
        if len(types) != 1 or not types <= {"float32", "float64"}:
            raise UsageError(
                f"the state dict holds {', '.join(sorted(types)) or 'nothing'}; expected float32 or float64"
            )
        return types.pop()

    def take(self, name: str, *shape: int | None) -> Array:
        """Return an array of a shape, in which None is any size."""
        if name not in self.left:
            raise UsageError(f"the state dict has no {name!r}; it has {', '.join(sorted(self.left)) or 'nothing else'}")
        array = self.left.pop(name)
        wanted = [wide if size is None else size for wide, size in zip(array.shape, shape, strict=False)]
        if list(array.shape) != wanted or array.ndim != len(shape):
            sizes = ", ".join("any" if size is None else str(size) for size in shape)
            raise UsageError(f"{name!r} has the shape {list(array.shape)}; expected [{sizes}]")
        return array

    def matrices(self, columns: int, *, bias: bool) -> list[str]:
        """Return the modules that have a weight of so many columns, with a bias or without."""
        found = []
        for name, array in self.left.items():
            module, _, last = name.rpartition(".")
            fits = last == "weight" and array.ndim == 2 and array.shape[1] == columns
            if fits and (within(module, "bias") in self.left) == bias:
                found.append(module)
        return found


def recurrent_modules(names: Iterable[str]) -> list[str]:
    """Return the recurrent modules from the inputs upwards: one, or several that are numbered."""
    found = [match[1] or "" for name in names if (match := RECURRENT.fullmatch(name))]
    if not found:
        raise UsageError(
            "the state dict has no 'weight_hh_l0' of nn.RNN, LSTM or GRU, with or without a module before it; "
            f"it has {', '.join(sorted(names))}"
        )
    numbers = [NUMBERED.fullmatch(module) for module in found]
    lists = {match[1] if match else None for match in numbers}
    if len(found) > 1 and (None in lists or len(lists) > 1):
        raise UsageError(
            f"the state dict has several recurrent modules, {', '.join(found)}; "
            "name them from the inputs upwards, as rnn=['first', 'second']"
        )
    return found if len(found) == 1 else sorted(found, key=lambda name: int(NUMBERED.fullmatch(name)[2]))  # type: ignore[index]


def linear_module(names: StateNames, top: int) -> str:
    """Return the one module that can be the Linear: its weight fits the top layer; one with a bias is no Embedding."""
    found = names.matrices(top, bias=True) or names.matrices(top, bias=False)
    if len(found) == 1:
        return found[0]
    if not found:
        there = ", ".join(sorted(names.left)) or "nothing else"
        raise UsageError(f"the state dict has no Linear of {top} inputs for the head; it has {there}")
    raise UsageError(
        f"each of {', '.join(sorted(found))} can be the Linear of {top} inputs; name it, as readout={found[0]!r}"
    )


def embedding_module(names: StateNames, top: int, width: int, has_readout: bool) -> str | None:
    """Return the module that can be the Embedding alone, or None where there is none."""
    found = names.matrices(width, bias=False)
    if not found:
        return None
    if len(found) == 1 and (has_readout or top != width):
        return found[0]
    raise UsageError(f"{', '.join(sorted(found))} can be the Embedding or a Linear; name it, as embedding={found[0]!r}")


def parts_of(parameters: Arrays, number: int) -> list[str]:
    """Return what the names of a layer's parameters begin with, for each of its directions."""
    ways = (f"layer{number}.", f"layer{number}.forward.", f"layer{number}.reverse.")
    return [at for at in ways if f"{at}W" in parameters]


def width_of(parameters: Arrays, number: int) -> int:
    """Return the width of a layer's outputs."""
    return sum(len(parameters[f"{at}W"]) for at in parts_of(parameters, number))


def inputs_of(parameters: Arrays, number: int) -> int:
    """Return the width of a layer's inputs."""
    return len(parameters[f"{parts_of(parameters, number)[0]}U"])
