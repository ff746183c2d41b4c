"""The layers without a recurrent product that come with rnnframe."""

from collections.abc import Iterable

from rnnframe.plugin import Layer, hookimpl
from rnnframe_layers.dropout import Dropout


@hookimpl
def rnnframe_cells() -> Iterable[type[Layer]]:
    """Provide the built-in layers."""
    return [Dropout]
