"""The layers beside cells that come with rnnframe: dropout, units, norm, convolution, pools, layers made of layers."""

from collections.abc import Iterable

from rnnframe.plugin import Layer, hookimpl
from rnnframe_layers.bidirectional import Bidirectional
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
    plain: list[type[Layer]] = [Dropout, Embedding, Dense, GatedUnits, LayerNorm, CausalConvolution]
    return [*plain, Residual, Highway, Bidirectional, *pools]
