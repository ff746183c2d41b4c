"""The confusion matrix: which class was taken for which, and what follows from it for each class."""

from collections.abc import Iterator

import attrs
import numpy as np

from rnnframe.arrays import Array


@attrs.frozen(kw_only=True)
class ClassScore:
    """How well one class is found.

    Parameters
    ----------
    label : str
        The class.
    count : int
        Its samples.
    precision : float or None
        Which share of the samples that are put into it belong there; None where none is put into it.
    recall : float or None
        Which share of its samples is put into it; None where it has none.
    f1 : float or None
        2 precision · recall / (precision + recall), 0 where no sample is right; None where it has no sample and none
        is put into it.
    """

    label: str
    count: int
    precision: float | None
    recall: float | None
    f1: float | None


class Confusion:
    """Counts [classes, classes] of samples: rows are true classes, columns those that were chosen."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.counts: Array = np.zeros((len(labels), len(labels)), np.int64)

    def add(self, true: Array, chosen: Array) -> None:
        """Count some samples by their class numbers."""
        np.add.at(self.counts, (true, chosen), 1)

    def by_class(self) -> Iterator[ClassScore]:
        """Yield how well each class is found."""
        for n, label in enumerate(self.labels):
            right, count, taken = int(self.counts[n, n]), int(self.counts[n].sum()), int(self.counts[:, n].sum())
            yield ClassScore(
                label=label,
                count=count,
                precision=right / taken if taken else None,
                recall=right / count if count else None,
                f1=2 * right / (taken + count) if taken + count else None,
            )

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have samples."""
        recalls = [score.recall for score in self.by_class() if score.recall is not None]
        return float(np.mean(recalls)) if recalls else 0.0
