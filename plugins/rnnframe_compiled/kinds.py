"""Which cell has which twin."""

from typing import Any

import numpy as np

from rnnframe.plugin import Layer
from rnnframe_cells.attention import LinearAttention
from rnnframe_cells.elman import Elman
from rnnframe_cells.gated_linear import RGLRU
from rnnframe_cells.gru import GRU
from rnnframe_cells.independent import IndRNN
from rnnframe_cells.linear import MinGRU, MinLSTM
from rnnframe_cells.lru import LRU
from rnnframe_cells.lstm import LSTM
from rnnframe_cells.masks import MaskedCell
from rnnframe_cells.peephole import PeepholeLSTM
from rnnframe_cells.selective import SelectiveSSM
from rnnframe_cells.slstm import SLSTM
from rnnframe_compiled.attention_twin import CompiledLinearAttention
from rnnframe_compiled.elman_twin import CompiledElman
from rnnframe_compiled.gated_linear_twin import CompiledRGLRU
from rnnframe_compiled.gru_normed_twin import CompiledNormedGRU
from rnnframe_compiled.gru_twins import CompiledGRU, CompiledResetBefore
from rnnframe_compiled.linear_twins import CompiledIndRNN, CompiledMinGRU, CompiledMinLSTM
from rnnframe_compiled.lru_twin import CompiledLRU
from rnnframe_compiled.lstm_general_twin import CompiledGeneralLSTM
from rnnframe_compiled.lstm_twin import CompiledLSTM
from rnnframe_compiled.selective_twin import CompiledSelectiveSSM
from rnnframe_compiled.stepwise_twins import CompiledPeepholeLSTM, CompiledSLSTM
from rnnframe_compiled.twins import Twin


def twin_of(cell: Layer, dtype: np.dtype[Any], precision: str | None = None) -> Twin | None:
    """Return the twin of a cell; None where there is none, as for a subclass, which may compute in its own way.

    Masks of h and of states are drawn step by step, on numpy; zeros in W are there before a twin packs it. With the
    precision "bfloat16" there are twins of lstm and gru, neither with a norm or a projection, and of elman.
    """
    if isinstance(cell, MaskedCell) and cell.mask_scratch():
        return None
    if type(cell) is LSTM and not cell.plain:
        return None if precision else CompiledGeneralLSTM(cell=cell, dtype=dtype)
    if type(cell) is GRU and not cell.plain:
        return None if precision else CompiledNormedGRU(cell=cell, dtype=dtype)
    if isinstance(cell, MaskedCell) and not cell.plain:
        return None
    if type(cell) is LSTM:
        return CompiledLSTM(cell=cell, dtype=dtype, precision=precision)
    if type(cell) is GRU:
        kind = CompiledGRU if cell.reset == "after" else CompiledResetBefore
        return kind(cell=cell, dtype=dtype, precision=precision)
    if type(cell) is Elman:
        return CompiledElman(cell=cell, dtype=dtype, precision=precision)
    if precision is not None:
        return None
    if type(cell) is LRU:
        return CompiledLRU(cell=cell, dtype=dtype)
    if type(cell) is IndRNN:
        return CompiledIndRNN(cell=cell, dtype=dtype)
    if type(cell) is MinGRU:
        return CompiledMinGRU(cell=cell, dtype=dtype)
    if type(cell) is MinLSTM:
        return CompiledMinLSTM(cell=cell, dtype=dtype)
    if type(cell) is RGLRU:
        return CompiledRGLRU(cell=cell, dtype=dtype)
    if type(cell) is SelectiveSSM:
        return CompiledSelectiveSSM(cell=cell, dtype=dtype)
    if type(cell) is LinearAttention:
        return CompiledLinearAttention(cell=cell, dtype=dtype)
    if type(cell) is PeepholeLSTM:
        return CompiledPeepholeLSTM(cell=cell, dtype=dtype)
    if type(cell) is SLSTM:
        return CompiledSLSTM(cell=cell, dtype=dtype)
    return None
