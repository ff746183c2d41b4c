"""The stages of a model: parts that are run one after the other over all of time, on arrays that they share.

The outputs of a stage at every step are what the next one reads, and are held until that has been reversed; then their
memory takes the gradient that the stage after it leaves. So there is one array [T, B, width] for each stage, all as
wide as the widest: the outputs of all but the last, and one gradient.
"""

from collections.abc import Sequence
from typing import Any

from rnnframe.arrays import Array, aligned_empty


def parts_of(model: Any) -> Sequence[Any]:
    """Return the stages of a model from the inputs upwards, or the model alone where it runs in one sweep."""
    return getattr(model, "stages", ()) or (model,)


def held_bytes(model: Any, steps: int | None, batch: int) -> int:
    """Return the bytes of the arrays between the stages of a model."""
    parts = parts_of(model)
    return 0 if len(parts) == 1 else len(parts) * (steps or 0) * batch * _widest(parts) * model.dtype.itemsize


def forward_steps_below(model: Any, steps: int) -> int:
    """Return how many steps are run forward beside the schedule: those of every stage but the last, once."""
    return 0 if len(parts_of(model)) == 1 else steps


class HeldRoom:
    """Memory for the arrays between the stages of a model, which is used again for the next batch."""

    def __init__(self) -> None:
        self._flat: Array | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the memory."""
        return 0 if self._flat is None else self._flat.nbytes

    def make_ready(self, model: Any, steps: int, batch: int) -> None:
        """Have room for a batch of that many steps and samples."""
        needed, dtype = held_bytes(model, steps, batch), model.dtype
        if self.nbytes < needed or self._flat is None or self._flat.dtype != dtype:
            self._flat = None  # first free the old memory
            self._flat = aligned_empty(needed // dtype.itemsize, dtype)
        self._size, self._shape = steps * batch * _widest(parts_of(model)), (steps, batch)

    def array(self, place: int, width: int) -> Array:
        """Return one of the arrays, [T, B, width]."""
        steps, batch = self._shape
        assert self._flat is not None  # it was made ready
        start = place * self._size
        return self._flat[start : start + steps * batch * width].reshape(steps, batch, width)


def _widest(parts: Sequence[Any]) -> int:
    return max(int(part.outputs_width) for part in parts[:-1])
