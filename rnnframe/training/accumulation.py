"""The gradients of several batches, added up until one update is made from all of them.

They are added up for each part of the batch first, and over the parts and the ranks last. So a rank sends gradients
once an update, and any number of ranks gives the bits of one process with as many shards.
"""

import math
from collections.abc import Collection, Sequence

from rnnframe.arrays import Array, Arrays, Vector
from rnnframe.arrays.tree import add_in_tree
from rnnframe.contracts.reducer import Group
from rnnframe.engine.ranks import ALONE, Share, parts_of_each
from rnnframe.engine.report import Outcome
from rnnframe.errors import NonFiniteError, RunError
from rnnframe.storage.tensors import restore
from rnnframe.training.norms import first_non_finite_name, global_norm


class Accumulation:
    """The sums of the gradients of up to `size` batches, one for each part of a batch.

    The mean is taken over all losses, as if the batches were one: a batch with more losses has more weight.

    Parameters
    ----------
    like
        A vector with the shapes and dtype of the gradients.
    size
        Batches that make one update.
    group
        The ranks that share the parts.
    shards
        The parts of a batch over all ranks, as the engine takes them.

    Attributes
    ----------
    parts
        Number of a part -> sum of its losses' gradients. Each rank has those of its own parts; rank 0 those of all
        after `complete`.
    batches, count, loss
        Batches and losses that were added, and the sum of those losses. With `parts`, a resumed training needs no more.
    """

    def __init__(self, like: Vector, size: int, group: Group = ALONE, shards: int | None = None) -> None:
        self.size = size
        self.parts: dict[int, Vector] = {}
        self.batches = 0
        self.count = self.loss = 0.0
        self._shapes, self._dtype = like.shapes, like.flat.dtype
        self._group = group
        self._each = None if group.size == 1 else parts_of_each(shards or group.size, group)
        self._most = 0  # parts of the largest batch
        self._free: list[Vector] = []

    @property
    def full(self) -> bool:
        """Whether all batches of an update have been added."""
        return self.batches >= self.size

    def add(self, share: Share, gradients: Sequence[Vector], outcome: Outcome, frozen: Collection[str] = ()) -> None:
        """Add a batch; all ranks call it.

        Parameters
        ----------
        share
            Which parts of the batch this rank has run.
        gradients
            Those of the sum of the losses of each of these parts; of frozen parameters they become zero.
        outcome
            The mean loss of the whole batch, and the number of losses.
        frozen
            Names of parameters whose gradients do not count.

        Raises
        ------
        NonFiniteError
            On all ranks where a gradient of one of them is not finite; then nothing is added.
        """
        self._check(share, gradients, outcome, frozen)
        if share.counts:
            for number, vector in enumerate(gradients, share.parts.start):
                if number in self.parts:
                    self.parts[number].add(vector)
                else:
                    self._part(number).copy_from(vector)
        self._most = max(self._most, len(share.columns))
        self.batches, self.count = self.batches + 1, self.count + outcome.count
        self.loss += outcome.loss * outcome.count

    def _check(self, share: Share, gradients: Sequence[Vector], outcome: Outcome, frozen: Collection[str]) -> None:
        wrong = None
        for vector in gradients if share.counts else ():
            for name in frozen:
                vector[name].fill(0)
            norm = global_norm(vector)
            if not math.isfinite(norm) and wrong is None:
                wrong = norm, first_non_finite_name(vector)
        found = next((told for told in self._group.gather(wrong) if told is not None), None)
        if found is not None:
            raise NonFiniteError(
                f"the gradient's norm is {found[0]} in a batch that is accumulated (loss {outcome.loss:.6g}, "
                f"first in {found[1]}); lower the learning rate or set clip"
            )

    def _part(self, number: int) -> Vector:
        """Return the sum of a part, in memory of an earlier update where there is some."""
        self.parts[number] = self._free.pop() if self._free else Vector(self._shapes, self._dtype)
        return self.parts[number]

    def mean(self) -> tuple[Vector, float]:
        """Return the mean gradient over all parts and ranks, and the mean loss; all ranks call it, and `clear` next.

        The sums of the parts are overwritten.
        """
        own = list(self._own.values()) or [Vector.zeros(self._shapes, self._dtype)]
        total = add_in_tree(own, lambda total, other: total.add(other))
        if self._each is not None:
            self._group.sum(total.flat, -(-self._most // self._each))
        count = self.count or 1
        total.scale(1 / count)
        return total, self.loss / count

    @property
    def _own(self) -> dict[int, Vector]:
        """The sums of this rank's parts, in their order."""
        each = self._each
        return {n: self.parts[n] for n in sorted(self.parts) if each is None or n // each == self._group.rank}

    def clear(self) -> None:
        """Forget the sums, for the next update."""
        self._free += self._own.values()
        self.parts = {}
        self.batches = self._most = 0
        self.count = self.loss = 0.0

    def complete(self) -> None:
        """Give rank 0 the sums of all parts, for a checkpoint; all ranks call it."""
        if self.batches and self._each is not None:
            gathered = self._group.gather(self._own)
            if self._group.rank == 0:
                self.parts = {number: vector for own in gathered for number, vector in own.items()}

    def described(self) -> dict[str, Array]:
        """Return the sums as arrays by "part/name", for a checkpoint; none where no batch waits."""
        return {f"{n}/{name}": array for n in sorted(self.parts) for name, array in self.parts[n].items()}

    def put_back(self, saved: Arrays, batches: int, count: float, loss: float, where: str) -> None:
        """Take what a checkpoint holds: arrays by "part/name". Raises `RunError` where they are others."""
        self.clear()
        if not batches:
            return
        by_part: dict[str, dict[str, Array]] = {}
        for name, array in saved.items():
            part, _, rest = name.rpartition("/")
            by_part.setdefault(part or "0", {})[rest] = array  # earlier versions had one sum
        numbers = [str(number) for number in range(len(by_part))]
        if not by_part or sorted(by_part) != sorted(numbers):
            raise RunError(
                f"{where} holds gradients that wait for an update of other parts than it has; start a new run"
            )
        for number in numbers:
            restore(self._part(int(number)), by_part[number], where)
        self._most, self.batches, self.count, self.loss = len(numbers), batches, count, loss
        if self._group.rank:  # rank 0 has the others told first
            self.parts = self._own
