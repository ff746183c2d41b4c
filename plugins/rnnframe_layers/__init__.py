"""The layers without recurrent weights that come with rnnframe: dropout, units, norm, convolution, pools."""

from collections.abc import Iterable

from rnnframe.plugin import Layer, hookimpl
from rnnframe_layers.blocks import Highway, Residual
from rnnframe_layers.convolution import CausalConvolution
from rnnframe_layers.dense import Dense, Embedding, GatedUnits
from rnnframe_layers.dropout import Dropout
from rnnframe_layers.norm import LayerNorm
from rnnframe_layers.pools import AttentionPool, MaxPool, MeanPool


@hookimpl
def rnnframe_cells() -> Iterable[type[Layer]]:
    """Provide the built-in layers."""
    pools = [MeanPool, MaxPool, AttentionPool]
    return [Dropout, Embedding, Dense, GatedUnits, LayerNorm, CausalConvolution, Residual, Highway, *pools]
