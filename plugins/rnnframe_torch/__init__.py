"""PyTorch cells under the state stores of rnnframe: exact gradients within a byte budget.

    import rnnframe_torch as rft
    outputs, state = rft.unroll(cell, x, state, store="auto:budget=64MiB")

A client of the engine: it registers no plugin, and nothing of rnnframe imports it.
"""

try:
    import torch  # noqa: F401 - found out here, and told in one line
except ImportError:
    raise ImportError('rnnframe_torch needs a package: pip install "rnnframe[torch]"') from None

from rnnframe_torch.accelerating import Accelerated, accelerate
from rnnframe_torch.exchange import from_torch, to_torch
from rnnframe_torch.explaining import explain
from rnnframe_torch.planning import plan
from rnnframe_torch.recurrent import GRU, LSTM, RNN
from rnnframe_torch.unrolling import unroll, unroll_loss

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Accelerated",
    "accelerate",
    "explain",
    "from_torch",
    "plan",
    "to_torch",
    "unroll",
    "unroll_loss",
]
