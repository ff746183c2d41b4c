"""Layer normalization inside of cells: Ba, Kiros & Hinton (2016), arXiv 1607.06450, the equations of its supplement.

x U and h W are normalized apart, each over all its gates together (of a gru over r and z together and over n), and
scaled by g_x and g_h; an lstm's tanh sees c normalized, scaled by g_c and moved by b_c. Of the offsets that the paper
adds to one and the same sum, one is enough: the cell's own b.
"""

from typing import Any

import attrs
import numpy as np
from attrs.validators import in_, optional

from rnnframe.plugin import Array, Arrays
from rnnframe_layers.norm import EPSILON, normalize

__all__ = ["EPSILON", "fill_scales", "norm_option", "normalize", "scale", "take_back"]


def norm_option() -> Any:
    """Return the option that normalizes the sums of a cell."""
    return attrs.field(
        default=None,
        validator=optional(in_(("layer",))),
        metadata={"help": "normalize x U and h W (and c, for its tanh), each over its values; none: not"},
    )


def scale(z: Array, g: Array, inverse: Array) -> None:
    """Normalize z [.., width] in place and multiply by g; `inverse` [.., 1] becomes that of the deviation."""
    normalize(z, z, inverse)
    z *= g


def take_back(d: Array, n: Array, inverse: Array, mean: Array, product: Array) -> None:
    """Make of d, the gradient of the normalized n, that of what was normalized, in place.

    `mean` [.., 1] and `product`, which may be n, are room.
    """
    np.einsum("...i,...i->...", d, n, out=mean[..., 0])
    mean /= d.shape[-1]
    np.multiply(n, mean, out=product)
    d -= np.mean(d, axis=-1, keepdims=True, out=mean)
    d -= product
    d *= inverse


def fill_scales(parameters: Arrays) -> None:
    """Make all scales one."""
    for name, array in parameters.items():
        if name.startswith("g_"):
            array.fill(1)
