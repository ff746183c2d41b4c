"""The cells that come with rnnframe: elman, lstm, gru."""

from collections.abc import Iterable

from rnnframe.plugin import Cell, hookimpl
from rnnframe_cells.elman import Elman
from rnnframe_cells.gru import GRU
from rnnframe_cells.lstm import LSTM


@hookimpl
def rnnframe_cells() -> Iterable[type[Cell]]:
    """Provide the built-in cells."""
    return [Elman, LSTM, GRU]
