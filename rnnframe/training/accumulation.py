"""The gradients of several batches, added up until one update is made from all of them."""

from rnnframe.arrays import Vector


class Accumulation:
    """The sum of the gradients of up to `size` batches.

    The mean is taken over all losses, as if the batches were one: a batch with more losses has more weight.

    Parameters
    ----------
    like
        A vector with the shapes and dtype of the gradients.
    size
        Batches that make one update.

    Attributes
    ----------
    sums
        Sum of the losses' gradients.
    batches, count, loss
        Batches and losses that were added, and the sum of those losses. With `sums`, a resumed training needs no more.
    """

    def __init__(self, like: Vector, size: int) -> None:
        self.size = size
        self.sums = Vector.zeros(like.shapes, like.flat.dtype)
        self.batches = 0
        self.count = self.loss = 0.0

    @property
    def full(self) -> bool:
        """Whether all batches of an update have been added."""
        return self.batches >= self.size

    def add(self, gradients: Vector, loss: float, count: float) -> None:
        """Add a batch with its mean gradient, mean loss, and number of losses; the gradients are overwritten."""
        gradients.flat *= gradients.flat.dtype.type(count)
        self.sums.flat += gradients.flat
        self.batches, self.count, self.loss = self.batches + 1, self.count + count, self.loss + loss * count

    def mean(self) -> tuple[Vector, float]:
        """Return the mean gradient, in `sums` itself, and the mean loss; `clear` before the next batch is added."""
        count = self.count or 1
        self.sums.flat *= self.sums.flat.dtype.type(1 / count)
        return self.sums, self.loss / count

    def clear(self) -> None:
        """Make the sums zero, for the next update."""
        self.sums.flat.fill(0)
        self.batches = 0
        self.count = self.loss = 0.0
