"""`LSTM`, `GRU` and `RNN`: the modules of torch.nn on a CPU, computed by compiled kernels, under a state store.

They are those modules, with their parameters and their checks; only `forward` is another one. Layers of one direction
with no dropout between them run as one network, so that a store holds for all of them together; else each layer runs by
itself, as its outputs are needed whole.

Where the kernels cannot run, as without numba, the modules are refused: they are there to be faster than torch's, which
numpy would not be. A network on numpy's kernels is what `rnnframe_torch.from_torch` makes.
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from rnnframe import default_registry
from rnnframe.plugin import DataError, OptionError, StateStore, UsageError
from rnnframe_torch.floors import KERNELS, Floor, Lengths, run_floor
from rnnframe_torch.surroundings import untraced

CELLS = {
    "LSTM": "lstm",
    "GRU": "gru:reset=after",
    "RNN_TANH": "elman:activation=tanh",
    "RNN_RELU": "elman:activation=relu",
}
TYPES = torch.float32, torch.float64


class Floors:
    """The floors of a module, made when they are first needed; a copy of the module makes its own."""

    def __init__(self) -> None:
        self._made: dict[Any, Floor] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Floors, ()

    def of(self, *key: Any) -> Floor:
        """Return the floor for these arguments of `Floor`; the first one tells floors of equal arguments apart."""
        if key not in self._made:
            self._made[key] = Floor(*key[1:])
        return self._made[key]


class Compiled(nn.RNNBase):
    """What the three modules share."""

    store: str | StateStore = "full-history"

    def __init__(self, *args: Any, store: str | StateStore = "full-history", **kwargs: Any) -> None:
        refuse_without_kernels()
        super().__init__(*args, **kwargs)
        self.store = store
        reason = reason_against(self)
        if reason:
            raise UsageError(f"rft.{type(self).__name__} cannot take the place of nn.{type(self).__name__}: {reason}")

    def extra_repr(self) -> str:
        """As torch's, with the store."""
        return f"{super().extra_repr()}, store={self.store!r}"

    @untraced
    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return what the module of torch returns: output and h_n, of an LSTM output and (h_n, c_n).

        Parameters
        ----------
        input : Tensor or PackedSequence
            [T, B, inputs], [B, T, inputs] with batch_first, [T, inputs] without a batch.
        hx : Tensor or pair of Tensor
            The state before, zeros by default.

        Raises
        ------
        UsageError
            For tensors that are not on a CPU, or neither float32 nor float64, and a state of another type than x.
        DataError
            For values that are not finite, and x or a state of another number of dimensions.
        """
        self._update_flat_weights()  # which torch's checks read
        names = [name for layer in self._all_weights for name in layer]
        weights = [getattr(self, name) for name in names]
        x = input.data if isinstance(input, PackedSequence) else input
        self._refuse(unfit(weights[0], "its parameters are") or unfit(x, "x is", cast=_casts()))
        if isinstance(input, PackedSequence):
            return self._packed(input, hx, weights)
        if input.dim() not in (2, 3):
            raise DataError(f"x has {input.dim()} dimensions; expected [T, B, inputs], or [T, inputs] without a batch")
        single, first = input.dim() == 2, self.batch_first
        if not single and input.size(0 if first else 1) == 0 < input.size(1 if first else 0):
            return super().forward(input, hx)  # which computes nothing, in the forms that torch gives it
        x = _cast(input.unsqueeze(0 if first else 1) if single else input, weights[0])
        given = self._given(hx, x, 2 if single else 3)
        if given is not None and single:
            given = [each.unsqueeze(1) for each in given]
        states = self._states(given, x, x.size(0 if first else 1), None)
        output, after = self._run(x.transpose(0, 1) if first else x, states, weights, None)
        output = output.transpose(0, 1) if first else output
        if single:
            output, after = output.squeeze(0 if first else 1), [each.squeeze(1) for each in after]
        return output, self._state(after)

    def _packed(self, given: Any, hx: Any, weights: list[torch.Tensor]) -> Any:
        data, sizes, order, back = given
        data = _cast(data, weights[0])
        counts, batch = sizes.numpy(), int(sizes[0])
        before = self._given(hx, data, 3)
        if before is not None and order is not None:
            before = [each.index_select(1, order) for each in before]
        states = self._states(before, data, batch, sizes)
        running = np.arange(batch) < counts[:, None]
        rows = Rows(len(counts), batch, torch.from_numpy(np.flatnonzero(running)))
        output, after = self._run(rows.padded(data), states, weights, rows, Lengths.of(running.sum(0)))
        packed = PackedSequence(rows.packed(output), sizes, order, back)
        return packed, self.permute_hidden(self._state(after), back)

    def _given(self, hx: Any, x: torch.Tensor, dimensions: int) -> list[torch.Tensor] | None:
        """Return h, or h and c, of the caller; None where there are none."""
        if hx is None:
            return None
        pair = self.mode == "LSTM"
        states = list(hx) if pair and isinstance(hx, tuple | list) else [hx]
        if len(states) != 1 + pair or not all(map(torch.is_tensor, states)):
            self._refuse(f"hx is {type(hx).__name__}; expected {'a pair of tensors (h, c)' if pair else 'a tensor'}")
        for each in states:
            if each.dim() != dimensions:
                rows = "[rows, H], as x has no batch" if dimensions == 2 else "[rows, B, H]"
                raise DataError(f"hx has {each.dim()} dimensions; expected {rows}")
            self._refuse(unfit(each, "hx is", cast=_casts()))
            if each.dtype != x.dtype and not _casts():
                self._refuse(f"hx is {each.dtype} and x is {x.dtype}; expected the same type")
        return [_cast(each, x) for each in states]

    def _refuse(self, reason: str) -> None:
        if reason:
            raise UsageError(f"rft.{type(self).__name__} cannot run: {reason}")

    def _states(self, given: list[torch.Tensor] | None, x: torch.Tensor, batch: int, sizes: Any) -> list[torch.Tensor]:
        """Return h, or h and c, zeros where none are given, checked as torch checks them."""
        if given is None:
            directions = 2 if self.bidirectional else 1
            widths = (self.proj_size or self.hidden_size, self.hidden_size)[: 2 if self.mode == "LSTM" else 1]
            given = [x.new_zeros(self.num_layers * directions, batch, width) for width in widths]
        self.check_forward_args(x, self._state(given), sizes)
        return given

    def _state(self, after: Any) -> Any:
        return tuple(after) if self.mode == "LSTM" else after[0]

    def _run(
        self,
        x: torch.Tensor,
        states: list[torch.Tensor],
        weights: list[torch.Tensor],
        rows: "Rows | None",
        lengths: Lengths | None = None,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Run all floors over [T, B, inputs]; return the outputs of the highest and the states of all."""
        directions, each = 2 if self.bidirectional else 1, len(self._all_weights[0])
        dropout = self.dropout if self.training else 0.0
        apart = directions == 2 or dropout
        layers = 1 if apart else self.num_layers
        floors = self.__dict__.setdefault("_floors", Floors())
        spec = CELLS[self.mode]
        spec = f"{spec}{',' if ':' in spec else ':'}hidden={self.hidden_size}"
        spec += f",projection={self.proj_size}" if self.proj_size else ""
        ends: list[tuple[torch.Tensor, ...]] = []
        for number in range(self.num_layers // layers):
            floor = floors.of(number, spec, layers, x.shape[-1], directions, each, x.dtype, self.store)
            tensors, count = layers * directions, layers * directions * each
            before = [state[number * tensors : (number + 1) * tensors] for state in states]
            x, *end = run_floor(floor, x, before, weights[number * count : (number + 1) * count], lengths)
            ends.append(tuple(end))
            if dropout and number < self.num_layers - 1:
                kept = x if rows is None else rows.packed(x)  # the draws are torch's, in its order
                kept = torch.dropout(kept, dropout, True)
                x = kept if rows is None else rows.padded(kept)
        return x, [torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*ends, strict=True)]


class Rows:
    """Where the rows of a PackedSequence stand in [T, B, width]."""

    def __init__(self, steps: int, batch: int, numbers: torch.Tensor) -> None:
        self.steps, self.batch, self.numbers = steps, batch, numbers

    def padded(self, data: torch.Tensor) -> torch.Tensor:
        """Return packed rows as [T, B, width], with zeros behind the end of each sample."""
        rows = data.new_zeros(self.steps * self.batch, data.shape[1]).index_copy(0, self.numbers, data)
        return rows.view(self.steps, self.batch, data.shape[1])

    def packed(self, padded: torch.Tensor) -> torch.Tensor:
        """Return the rows that are within a sample."""
        return padded.reshape(-1, padded.shape[-1]).index_select(0, self.numbers)


class LSTM(Compiled, nn.LSTM):
    """`torch.nn.LSTM` on a CPU, computed by compiled kernels.

    Parameters
    ----------
    *args, **kwargs
        As of torch.nn.LSTM.
    store : StateStore or str
        What is remembered for `backward`: any exact store, such as "auto:budget=16MiB". It is for all layers
        together; where there is dropout between them, or both directions, for each layer and direction.

    Raises
    ------
    UsageError
        For another device than a CPU, and types but float32 and float64.
    OptionError
        Where the kernels cannot run, as without numba.
    """


class GRU(Compiled, nn.GRU):
    """`torch.nn.GRU` on a CPU, computed by compiled kernels: see `LSTM`."""


class RNN(Compiled, nn.RNN):
    """`torch.nn.RNN` on a CPU, computed by compiled kernels: see `LSTM`."""


def refuse_without_kernels() -> None:
    """Raise `OptionError` where the compiled kernels cannot run."""
    kernels = default_registry().kernels(KERNELS)
    if reason := kernels.missing():
        raise OptionError(f"the compiled recurrent modules need compiled kernels: {reason}")


def reason_against(module: nn.RNNBase) -> str:
    """Return why a module cannot be computed here; "" where it can."""
    return unfit(next(module.parameters()), "its parameters are")


def unfit(tensor: torch.Tensor, what: str, *, cast: bool = False) -> str:
    """Return why a tensor cannot be computed with here; "" where it can, `cast` to another type or as it is."""
    if tensor.device.type != "cpu":
        return f"{what} on {tensor.device}; expected a CPU, keep torch's module there"
    if tensor.dtype not in TYPES and not (cast and tensor.is_floating_point()):
        return f"{what} {tensor.dtype}; expected float32 or float64, as after module.float()"
    return ""


def _cast(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return a tensor in the type of another one where autocast lets them differ."""
    return tensor.to(like.dtype) if _casts() else tensor


def _casts() -> bool:
    return torch.is_autocast_enabled("cpu")
