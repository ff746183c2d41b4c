"""`to_torch` and `from_torch`: the same model here and there, with the same parameters."""

import itertools
from typing import Any

import torch
from torch import nn

from rnnframe import Network
from rnnframe.plugin import OptionError, UsageError

RECURRENT: tuple[type[nn.RNNBase], ...] = (nn.RNN, nn.LSTM, nn.GRU)
KINDS: dict[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "elman": nn.RNN}


class TorchNetwork(nn.Module):
    """A network of rnnframe as modules of PyTorch: one for equal layers that follow each other, and a Linear.

    Its state dict is that of `Network.to_state_dict`, and `from_torch` takes it back.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        arrays = network.to_state_dict(rnn="rnn")
        modules = _modules(network)
        self.inputs, head = network.inputs, network.head
        self.rnn: nn.Module = modules[0] if len(modules) == 1 else nn.ModuleList(modules)
        self.head: nn.Module = nn.Identity() if head is None else nn.Linear(network.layers[-1].width, head.width or 0)
        self.to(torch.from_numpy(next(iter(arrays.values()))).dtype)
        self.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})

    def forward(self, x: torch.Tensor, state: Any = None) -> tuple[torch.Tensor, Any]:
        """Return the readout of every step, before any activation, and the state after the last one.

        Parameters
        ----------
        x : Tensor
            Numbers [T, B, inputs], or integers [T, B] that stand for one-hot vectors.
        state : list or None
            One state for each module, in the form of that module; zeros by default.
        """
        if not x.is_floating_point():
            x = nn.functional.one_hot(x, self.inputs).to(next(self.parameters()).dtype)
        modules = list(self.rnn) if isinstance(self.rnn, nn.ModuleList) else [self.rnn]
        after = []
        for module, before in zip(modules, state or [None] * len(modules), strict=True):
            x, end = module(x, before)
            after.append(end)
        return self.head(x), after


def to_torch(network: Network) -> TorchNetwork:
    """Return a network as a module of PyTorch with the same parameters, bit for bit.

    Parameters
    ----------
    network : Network
        Of elman, lstm and gru layers, with or without a head.

    Returns
    -------
    TorchNetwork
        Called with x, and a state if there is one, it returns outputs and state.

    Raises
    ------
    OptionError
        For a layer or a readout that PyTorch does not have, and a head that reads the ends of two directions.
    """
    if network.both_ways and network.head is not None and network.head.loss.at == "last":
        raise OptionError(
            "the head reads where two directions end, and a module of PyTorch returns both of the same step; make the "
            "module by hand, with the arrays of to_state_dict"
        )
    return TorchNetwork(network)


def from_torch(module: nn.Module, head: str | None = None) -> Network:
    """Return a module of PyTorch as a network with the same parameters.

    Parameters
    ----------
    module : nn.Module
        An nn.RNN, LSTM or GRU, or any module that holds some of them in their order, with or without an Embedding below
        and a Linear above.
    head : str or None
        The loss that the Linear is for, such as "softmax" or "mse:at=last"; None for a module without a Linear.

    Returns
    -------
    Network
        On numpy arrays of its own.

    Raises
    ------
    UsageError
        For a module that is none of these, and dropout of a module in training mode.
    """
    found = {name: each for name, each in module.named_modules() if isinstance(each, RECURRENT)}
    if not found:
        raise UsageError(f"{type(module).__name__} holds no nn.RNN, nn.LSTM or nn.GRU; a cell of steps is for `unroll`")
    dropped = [name or type(each).__name__ for name, each in found.items() if each.dropout and each.training]
    dropped += [name for name, each in module.named_modules() if isinstance(each, nn.Dropout) and each.training]
    if dropped:
        raise UsageError(f"the dropout of {dropped[0]!r} is not taken over; call eval() on the module first")
    functions = {name: each.nonlinearity for name, each in found.items() if isinstance(each, nn.RNN)}
    arrays = {name: tensor.detach().cpu() for name, tensor in module.state_dict().items()}
    return Network.from_state_dict(arrays, head, nonlinearity=functions, rnn=list(found))


def _modules(network: Network) -> list[nn.RNNBase]:
    """Return one module for each run of equal layers."""
    made, below = [], network.inputs
    layer: Any
    for layer, run in itertools.groupby(network.cells):
        known: Any = layer.layers[0] if layer.both_ways else layer
        options: dict[str, Any] = {"nonlinearity": known.activation} if known.name == "elman" else {}
        options |= {"proj_size": known.projection or 0} if known.name == "lstm" else {}
        options |= {"bidirectional": layer.both_ways}
        made.append(KINDS[known.name](below, known.hidden, len(list(run)), **options))
        below = layer.width(below)
    return made
