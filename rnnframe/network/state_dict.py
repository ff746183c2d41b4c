"""Networks as state dicts of PyTorch: the arrays of nn.RNN, LSTM, GRU, Linear and Embedding, without using torch.

    "rnn.weight_ih_l0" [gates·H, inputs]    U transposed          "head.weight" [outputs, H]    V transposed
    "rnn.weight_hh_l0" [gates·H, H]         W transposed          "head.bias" [outputs]         c
    "rnn.weight_hr_l0" [R, H]               P transposed, of an LSTM with a projection
    "rnn.bias_ih_l0", "rnn.bias_hh_l0"      b is their sum        "embedding.weight" [rows, E]  U is its product with
                                                                                                U of the first layer

The second direction of a bidirectional module has the same names with "_reverse" behind them; its layer here is
bidirectional(...). Both read one Embedding, so one that is written has the rows of both U side by side.

A GRU's candidate has its second bias inside the product with r, so the last third of bias_hh is bn and not a part of
the sum. The gates stand in the same order there and here. The number of gates tells
LSTM (4), GRU (3) and RNN (1) apart.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.contracts.head import Head
from rnnframe.contracts.layer import Layer
from rnnframe.contracts.loss import Loss
from rnnframe.errors import OptionError, UsageError
from rnnframe.network.state_names import (
    StateNames,
    embedding_module,
    inputs_of,
    linear_module,
    parts_of,
    recurrent_modules,
    width_of,
    within,
)
from rnnframe.registry.registry import Registry
from rnnframe.registry.specs import Spec, field_types, render

KINDS = {4: "lstm", 3: "gru", 1: "elman"}
"""The cell by the number of gates."""
TWO = "bidirectional"
"""The layer that holds a cell for each direction."""
KNOWN = {"U", "W", "b", "bn", "P"}
"""The parameters that a layer there has too."""
FUNCTIONS = ("tanh", "relu")
"""What nn.RNN has as its nonlinearity."""


@attrs.frozen(kw_only=True)
class Modules:
    """The names that the caller gave to modules; None where they are to be found."""

    rnn: str | Iterable[str] | None
    readout: str | None
    embedding: str | None


@attrs.frozen(eq=False)
class Found:
    """What a state dict describes: the specs of the layers, and the parameters by their names here.

    `outputs` is None where there is no Linear.
    """

    cells: tuple[str, ...]
    inputs: int
    outputs: int | None
    dtype: str
    parameters: Arrays


def read_state_dict(
    given: Mapping[str, Any], modules: Modules, nonlinearity: str | Mapping[str, str], *, wants_readout: bool
) -> Found:
    """Return what a state dict describes; raises `UsageError` for names that are missing, left over or doubtful."""
    by_module = nonlinearity if isinstance(nonlinearity, Mapping) else {"": nonlinearity}
    for function in by_module.values():
        if function not in FUNCTIONS:
            raise OptionError(f"nonlinearity={function!r} is invalid; expected {' or '.join(FUNCTIONS)}, as of nn.RNN")
    names = StateNames(given)
    rnn, readout, embedding = modules.rnn, modules.readout, modules.embedding
    cells: list[str] = []
    parameters: dict[str, Array] = {}
    for module in recurrent_modules(names.left) if rnn is None else [rnn] if isinstance(rnn, str) else rnn:
        number = 0
        while number == 0 or within(module, f"weight_hh_l{number}") in names.left:
            spec, arrays = _directions(names, module, number, by_module.get(module, by_module.get("", FUNCTIONS[0])))
            parameters |= {f"layer{len(cells)}.{name}": array for name, array in arrays.items()}
            cells.append(spec)
            number += 1
    _check_chain(parameters, len(cells))
    top, width = width_of(parameters, len(cells) - 1), inputs_of(parameters, 0)
    if wants_readout:
        readout = linear_module(names, top) if readout is None else readout
        V = names.take(within(readout, "weight"), None, top).T
        bias = within(readout, "bias")
        c = names.take(bias, V.shape[1]) if bias in names.left else np.zeros(V.shape[1], names.dtype)
        parameters |= {"head.V": V, "head.c": c}
    embedding = embedding_module(names, top, width, wants_readout) if embedding is None else embedding
    if embedding is not None:
        rows = names.take(within(embedding, "weight"), None, width)
        parameters |= {f"{at}U": _product(rows, parameters[f"{at}U"]) for at in parts_of(parameters, 0)}
    if names.left:
        way_out = "" if wants_readout else "give head='softmax' or another loss where a Linear follows; "
        raise UsageError(
            f"the state dict has {', '.join(sorted(names.left))}, for which a network of these modules has no place; "
            f"{way_out}remove what the outputs do not depend on"
        )
    outputs = parameters["head.V"].shape[1] if wants_readout else None
    return Found(tuple(cells), inputs_of(parameters, 0), outputs, names.dtype, parameters)


def head_of_width(head: str | Head | Loss | None, outputs: int | None, registry: Registry) -> Head | None:
    """Return the head of so many outputs; a spec may leave its width out."""
    if head is None:
        return None
    if isinstance(head, str):
        spec = Spec.parse(head, "loss")
        options = field_types(registry.find("loss", spec.name)).keys() - spec.options
        written = [f"{key}={value}" for key, value in spec.options.items()]
        written += [f"{width}={outputs}" for width in ("classes", "outputs") if width in options]
        head = f"{spec.name}:{','.join(written)}" if written else spec.name
    made = registry.head(head)
    if made.width != outputs:
        raise OptionError(f"head {render(made)!r} has {made.width} outputs, and the Linear of the state dict {outputs}")
    return made


def write_state_dict(
    cells: tuple[Layer, ...], head: Head | None, parameters: Any, rnn: str, readout: str, embedding: str | None
) -> dict[str, Array]:
    """Return the arrays of a network by the names of PyTorch; raises `OptionError` for what PyTorch does not have."""
    written: dict[str, Array] = {}
    modules = _modules(cells, rnn)
    for number, (cell, (module, place)) in enumerate(zip(cells, modules, strict=True)):
        _check_known(cell, number)
        at = f"layer{number}"
        directions = {"": at} if cell.name != TWO else {"": f"{at}.forward", "_reverse": f"{at}.reverse"}
        own = {end: parameters.group(prefix) for end, prefix in directions.items()}
        if unknown := sorted({name for p in own.values() for name in p} - KNOWN):
            raise OptionError(
                f"layer{number} has {', '.join(unknown)}, which PyTorch does not have: start, norm = none"
            )
        rows, begin = np.concatenate([p["U"] for p in own.values()], axis=1), 0
        for end, p in own.items():
            arrays = _arrays_of(p)
            if number == 0 and embedding is not None:
                written[within(embedding, "weight")] = rows
                arrays["weight_ih"] = np.eye(len(p["b"]), rows.shape[1], begin, dtype=rows.dtype)
            begin += len(p["b"])
            written |= {within(module, f"{name}_l{place}{end}"): array for name, array in arrays.items()}
    if head is not None:
        if set(parameters.group("head")) != {"V", "c"}:
            raise OptionError(f"readout {head.readout.name!r} is no Linear of PyTorch; expected readout=affine")
        written |= {within(readout, "weight"): parameters["head.V"].T, within(readout, "bias"): parameters["head.c"]}
    return {name: np.array(array, order="C") for name, array in written.items()}


def _arrays_of(p: Arrays) -> dict[str, Array]:
    """Return the parameters of a cell as PyTorch names them."""
    second = np.zeros_like(p["b"])
    if "bn" in p:
        second[-len(p["bn"]) :] = p["bn"]
    arrays = {"weight_ih": p["U"].T, "weight_hh": p["W"].T, "bias_ih": p["b"], "bias_hh": second}
    return arrays | ({"weight_hr": p["P"].T} if "P" in p else {})


def _directions(names: StateNames, module: str, number: int, nonlinearity: str) -> tuple[str, dict[str, Array]]:
    """Return the spec of one layer, of one direction or of two, and its parameters."""
    backwards = within(module, f"weight_hh_l{number}_reverse")
    two = backwards in names.left
    spec, arrays = _layer(names, module, str(number), nonlinearity)
    if not two:
        return spec, arrays
    other, reverse = _layer(names, module, f"{number}_reverse", nonlinearity)
    if other != spec:
        raise UsageError(f"{backwards!r} is of {other}, and the other direction of {spec}; expected two alike")
    named = (("forward", arrays), ("reverse", reverse))
    return f"{TWO}({spec})", {f"{at}.{name}": array for at, of in named for name, array in of.items()}


def _layer(names: StateNames, module: str, number: str, nonlinearity: str) -> tuple[str, dict[str, Array]]:
    """Return the spec of one layer in one direction, "0" or "0_reverse", and its parameters."""

    def called(name: str) -> str:
        return within(module, f"{name}_l{number}")

    W, P = names.take(called("weight_hh"), None, None), None
    if called("weight_hr") in names.left:  # a projection, as LSTMs alone have it
        P = names.take(called("weight_hr"), W.shape[1], None)
    H = W.shape[1] if P is None else P.shape[1]
    gates, rest = divmod(len(W), max(1, H))
    if rest or gates not in KINDS or (P is not None and KINDS[gates] != "lstm"):
        raise UsageError(f"{called('weight_hh')!r} has the shape {list(W.shape)}; expected [4H, H], [3H, H] or [H, H]")
    U = names.take(called("weight_ih"), len(W), None)
    both = [called("bias_ih"), called("bias_hh")]
    if not any(name in names.left for name in both):  # bias=False
        first = second = np.zeros(len(W), names.dtype)
    else:
        first, second = (names.take(name, len(W)) for name in both)
    kind = KINDS[gates]
    arrays = {"U": U.T, "W": W.T, "b": np.where(second == 0, first, first + second)}  # -0 + 0 would be 0
    if kind == "gru":
        arrays["b"][2 * H :], arrays["bn"] = first[2 * H :], second[2 * H :]
    if P is not None:
        return f"{kind}:hidden={H},projection={len(P)}", {**arrays, "P": P.T}
    options = {"elman": f",activation={nonlinearity}", "gru": ",reset=after"}.get(kind, "")
    return f"{kind}:hidden={H}{options}", arrays


def _check_chain(parameters: Arrays, layers: int) -> None:
    for number in range(1, layers):
        below, takes = width_of(parameters, number - 1), inputs_of(parameters, number)
        if below != takes:
            raise UsageError(
                f"layer{number} of the state dict takes {takes} values, and layer{number - 1} has {below} units; "
                "name the recurrent modules from the inputs upwards, as rnn=['first', 'second']"
            )


def _product(rows: Array, U: Array) -> Array:
    """Return the rows of U for an Embedding; its products with a unit matrix are exact."""
    made: Array = np.matmul(rows, U, dtype=np.float64).astype(rows.dtype)
    return made


def _modules(cells: tuple[Layer, ...], rnn: str) -> list[tuple[str, int]]:
    """Return module and number of each layer there: equal layers that follow each other are one module."""
    runs: list[tuple[int, int]] = []
    for number, cell in enumerate(cells):
        run, place = runs[-1] if runs else (0, -1)
        runs.append((run, place + 1) if number == 0 or cell == cells[number - 1] else (run + 1, 0))
    single = runs[-1][0] == 0
    return [(rnn if single else within(rnn, str(run)), place) for run, place in runs]


def _check_known(cell: Any, number: int) -> None:
    if cell.name == TWO:
        (cell,) = cell.layers
    if cell.name not in KINDS.values():
        raise OptionError(f"layer{number} is a {cell.name!r}, which PyTorch does not have; it has elman, lstm and gru")
    if getattr(cell, "reset", "after") != "after":
        raise OptionError(f"layer{number} is a gru with reset=before, which PyTorch does not have; it has reset=after")
    function = getattr(cell, "activation", FUNCTIONS[0])
    if function not in FUNCTIONS:
        raise OptionError(f"layer{number} has activation={function}; nn.RNN of PyTorch has {' and '.join(FUNCTIONS)}")
