"""Random masks inside recurrent cells: of W, of h on its way into W, and of the change of a state.

weight_drop: entries of W are zero for a whole run; Wan et al. (2013); Merity, Keskar & Socher (2018), arXiv 1708.02182.
recurrent_dropout: W sees m ∘ h_(t-1) / (1 - rate) in place of h_(t-1), with one m for all steps of a sequence; Gal &
Ghahramani (2016), arXiv 1512.05287. zoneout: a unit keeps its old value at a step with this probability, and in
evaluation moves by the mean; Krueger et al. (2017), arXiv 1606.01305.
"""

from collections.abc import Mapping
from typing import Any, Literal

import attrs
import numpy as np
from attrs.validators import and_, ge, lt, optional

from rnnframe.plugin import Array, BlockPass, Cell, Sizes
from rnnframe_cells.start import init_option, start_option


def rate_option(help: str) -> Any:
    """Return an option that is a probability below 1, or none."""
    return attrs.field(default=None, validator=optional(and_(ge(0), lt(1))), metadata={"help": help})


@attrs.frozen(kw_only=True)
class MaskedCell(Cell):
    """A cell with h and W whose masks are options; a rate of 0 is none."""

    hidden: int = attrs.field(default=128, validator=ge(1), metadata={"help": "units H"})
    init: Literal["orthogonal", "glorot"] | None = init_option()
    start: Literal["learnt"] | None = start_option()
    weight_drop: float | None = rate_option("rate at which entries of W are zero during a run")
    recurrent_dropout: float | None = rate_option("rate at which units of h are not seen by W, the same at all steps")

    @property
    def seen_width(self) -> int:
        """Values of h that W sees."""
        return self.hidden

    @property
    def plain(self) -> bool:
        """Whether the cell has no mask of h and no other option that changes its formulas."""
        return not self.mask_scratch()

    def dropped_weights(self, inputs: int) -> Mapping[str, float]:
        """W, where weight_drop says so."""
        return {"W": self.weight_drop} if self.weight_drop else {}

    def mask_scratch(self) -> Sizes:
        """Return the working arrays of `recurrent_mask`: the mask, in the first step, and h times the mask."""
        return {"mask": self.seen_width, "masked": self.seen_width} if self.recurrent_dropout else {}

    def recurrent_mask(self, block: BlockPass) -> Array | None:
        """Return what h is multiplied by before W, [B, H]; None where that is nothing."""
        if not self.recurrent_dropout:
            return None
        mask: Array = block.scratch["mask"][0]
        block.write_mask(mask, "h", self.recurrent_dropout)
        mask /= 1 - self.recurrent_dropout
        return mask


@attrs.frozen(kw_only=True)
class ZonedCell(MaskedCell):
    """A masked cell whose units may keep their old h at a step."""

    zoneout: float | None = rate_option("rate at which units keep their old h at a step")

    def mask_scratch(self) -> Sizes:
        """Also that of `zone`."""
        return {**super().mask_scratch(), "zone": self.seen_width} if self.zoneout else super().mask_scratch()

    def zone(self, block: BlockPass) -> Array | None:
        """Return [L, B, H], 1 where h changes and 0 where it stays; None where it always changes."""
        return written(block, "zone", self.zoneout)


def written(block: BlockPass, name: str, rate: float | None) -> Array | None:
    """Return the working array of that name with a mask at each step; None without a rate."""
    if not rate:
        return None
    block.write_mask(block.scratch[name], name, rate)
    return block.scratch[name]


def seen(block: BlockPass, h: Array, mask: Array | None) -> Array:
    """Return h [.., B, H] as W sees it: itself, or a working array of as many steps."""
    if mask is None:
        return h
    masked = block.scratch["masked"]
    return np.multiply(h, mask, out=masked[0] if h.ndim == 2 else masked)


def zone_out(value: Array, before: Array, changed: Array | None) -> None:
    """Make `value` the old one where `changed` is 0, and between the two in evaluation, where `changed` is the mean."""
    if changed is not None:
        value -= before
        value *= changed
        value += before


def split_zone(gradient: Array, changed: Array | None) -> Array:
    """Return the gradient of the new value, in the place of `changed`; `gradient` keeps that of the old one.

    Where a state always changes, that is `gradient` itself.
    """
    if changed is None:
        return gradient
    new = np.multiply(gradient, changed, out=changed)
    gradient -= new
    return new


def join_zone(gradient: Array, new: Array) -> None:
    """Add to the gradient of the old value what came back through the new one."""
    if new is not gradient:
        gradient += new
