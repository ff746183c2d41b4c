"""A task for rnnframe: the next number of a series, from a file with one number in each line.

Replace the reading of the file, the batches and the measures with yours. Without a file the task has data of its own: a
noisy sine.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Batch, DataError, Dataset, Examples, Predicted, Setting, Task, hookimpl

PIECE = 1000
"""Steps that are predicted at once."""


@attrs.frozen(kw_only=True)
class Scale:
    """What is learnt from the training data and stored with the model: the network sees (number - mean) / deviation."""

    mean: float = attrs.field(converter=float)
    deviation: float = attrs.field(converter=float)

    def inputs(self, numbers: Array) -> Array:
        """Return numbers as the network sees them, [steps, 1]."""
        scaled: Array = ((numbers - self.mean) / self.deviation).astype(np.float32)[:, None]
        return scaled


@attrs.frozen(kw_only=True)
class Example(Task):
    """Predict the next number of a series. A file has one number in each line."""

    name: ClassVar[str] = "example"
    unit: ClassVar[str] = "squared error"
    learns: ClassVar[type[Any]] = Scale

    def open(self, setting: Setting) -> Dataset:
        """Return windows of `setting.steps` steps to train on; the end of the series is held out."""
        numbers = _sine(setting.seed) if setting.data is None else _read(setting.data)
        held_out = round(setting.held_out * len(numbers))
        train = numbers[: len(numbers) - held_out]
        if held_out < 2 or len(train) <= setting.steps:
            raise DataError(
                f"{len(numbers)} numbers are too few: {len(train)} to train on, of which {setting.steps + 1} make one "
                f"window, and {held_out} held out, of which there must be 2; give fewer steps or more data"
            )
        scale = Scale(mean=train.mean(), deviation=train.std() or 1)
        return Windows(
            inputs=1,
            head="mse:outputs=1",
            learnt=scale,
            digest=hashlib.sha256(numbers.tobytes()).hexdigest(),
            valid=Series(name="the held-out part", numbers=numbers[len(train) :], scale=scale),
            numbers=train,
            setting=setting,
        )

    def examples(self, data: str, learnt: Any, batch: int) -> Examples:
        """Return all of a file, for a trained model."""
        return Series(name=data, numbers=_read(data), scale=learnt)


@attrs.frozen(kw_only=True, eq=False)
class Windows(Dataset):
    """The series cut into windows, in another order in each epoch."""

    numbers: Array
    setting: Setting

    @property
    def windows(self) -> int:
        """Windows that do not overlap, except in the one number that is the last target and the next input."""
        return (len(self.numbers) - 1) // self.setting.steps

    @property
    def batches(self) -> int:
        """The last batch may be smaller."""
        return -(-self.windows // self.setting.batch)

    def batch(self, epoch: int, number: int) -> Batch:
        """Return x and y [steps, samples, 1]; they follow from the seed, the epoch and the number alone."""
        order = np.random.default_rng((self.setting.seed, epoch)).permutation(self.windows)
        chosen = order[number * self.setting.batch :][: self.setting.batch]
        steps = np.arange(self.setting.steps)[:, None] + chosen * self.setting.steps
        values = self.learnt.inputs(self.numbers)
        return Batch(values[steps], values[steps + 1])

    def shape(self, number: int) -> tuple[int, int]:
        """Return steps and samples of a batch."""
        return self.setting.steps, min(self.setting.batch, self.windows - number * self.setting.batch)


@attrs.frozen(kw_only=True, eq=False)
class Series(Examples):
    """One series from its beginning to its end."""

    numbers: Array
    scale: Scale

    def batches(self) -> Iterator[Batch]:
        """Yield the series in pieces; each begins with the state after the one before."""
        values = self.scale.inputs(self.numbers)[:, None]
        for start in range(0, len(values) - 1, PIECE):
            stop = min(start + PIECE, len(values) - 1)
            yield Batch(values[start:stop], values[start + 1 : stop + 1], carry=start > 0)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """Return the mean error in the unit of the file, and that of repeating the last number."""
        errors = np.concatenate([np.abs(piece.outputs - piece.batch.y) for piece in predicted])
        repeated = np.abs(np.diff(self.numbers))
        return {"mean error": float(errors.mean()) * self.scale.deviation, "of the last number": float(repeated.mean())}

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """Yield line, number and prediction for `rnnframe predict`; nothing predicts the first line."""
        start = 1
        for piece in predicted:
            outputs = piece.outputs[:, 0, 0] * self.scale.deviation + self.scale.mean
            stop = start + len(outputs)
            yield {"line": np.arange(start, stop) + 1, "number": self.numbers[start:stop], "predicted": outputs}
            start = stop


def _sine(seed: int) -> Array:
    t = np.arange(2000)
    numbers: Array = np.sin(t / 8) + np.random.default_rng(seed).normal(scale=0.1, size=t.size)
    return numbers


def _read(path: str) -> Array:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path!r}: {getattr(error, 'strerror', None) or error}") from None
    numbers = np.empty(len(lines))
    for n, line in enumerate(lines):
        try:
            numbers[n] = float(line)
        except ValueError:
            raise DataError(
                f"{path}, line {n + 1}: {line!r} is not a number; expected one number in each line"
            ) from None
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        raise DataError(f"{path!r} has {len(numbers)} numbers; expected two or more, all of them finite")
    return numbers


@hookimpl
def rnnframe_tasks() -> Iterable[type[Task]]:
    """Provide the task."""
    return [Example]
