"""The recurrent layers that come with rnnframe: with a recurrent product (elman, lstm, gru, ...) and without one."""

from collections.abc import Iterable

from rnnframe.plugin import Layer, hookimpl
from rnnframe_cells.attention import LinearAttention
from rnnframe_cells.elman import Elman
from rnnframe_cells.gated_linear import RGLRU
from rnnframe_cells.gru import GRU
from rnnframe_cells.independent import IndRNN
from rnnframe_cells.linear import MinGRU, MinLSTM
from rnnframe_cells.lru import LRU
from rnnframe_cells.lstm import LSTM
from rnnframe_cells.peephole import PeepholeLSTM
from rnnframe_cells.selective import SelectiveSSM
from rnnframe_cells.slstm import SLSTM


@hookimpl
def rnnframe_cells() -> Iterable[type[Layer]]:
    """Provide the built-in cells."""
    return [Elman, LSTM, GRU, PeepholeLSTM, MinGRU, MinLSTM, IndRNN, LRU, RGLRU, LinearAttention, SelectiveSSM, SLSTM]
