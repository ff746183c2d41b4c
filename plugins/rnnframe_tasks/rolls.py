"""The task `rolls`: which of many things happen at the next step, such as the notes of a piano roll.

Boulanger-Lewandowski, Bengio & Vincent (2012), "Modeling temporal dependencies in high-dimensional sequences".
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Batch, Choose, DataError, Dataset, Examples, Predicted, Setting, Task
from rnnframe_tasks.files import digest, read_npz
from rnnframe_tasks.npz_sequences import sequences_of, unread
from rnnframe_tasks.parts import held_out
from rnnframe_tasks.sequences import Sequences, Shuffled, in_order

PARTS = ("train", "valid", "test")


@attrs.frozen(kw_only=True)
class Learnt:
    """How many things may happen."""

    channels: int = attrs.field(converter=int)


@attrs.frozen(kw_only=True, eq=False)
class RollExamples(Examples):
    """Rolls; each step but the first is predicted from those before it."""

    wants_losses: ClassVar[bool] = True
    rolls: Sequences
    batch: int

    def batches(self) -> Iterator[Batch]:
        """Yield the rolls in the order of the file."""
        for chosen in in_order(len(self.rolls), self.batch):
            yield _batch(self.rolls, chosen)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """The loss averaged over the steps of each roll and then over rolls, as papers have it."""
        means: list[float] = []
        for each in predicted:
            assert each.losses is not None  # rolls are their own targets
            means += [float(each.losses[:length, n].mean()) for n, length in enumerate(_lengths(each))]
        return {"nats/step, mean over rolls": float(np.mean(means))}

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """The probability of each thing at every step but the first of each roll; rolls and steps count from 0."""
        roll = 0
        for each in predicted:
            for n, length in enumerate(_lengths(each)):
                p = each.outputs[:length, n]
                columns = {f"p({channel})": p[:, channel] for channel in range(p.shape[1])}
                yield {"roll": np.full(length, roll), "step": np.arange(1, length + 1), **columns}
                roll += 1


@attrs.frozen(kw_only=True, eq=False)
class RollData(Dataset):
    """Rolls in an order of their own in each epoch."""

    rolls: Sequences
    order: Shuffled

    @property
    def batches(self) -> int:
        """As many as hold all rolls."""
        return self.order.batches

    def shape(self, number: int) -> tuple[int, int]:
        """The longest roll, and the samples of the batch."""
        return int(self.rolls.lengths.max()) - 1, self.order.size(number)

    def batch(self, epoch: int, number: int) -> Batch:
        """Return rolls drawn from seed and epoch."""
        return _batch(self.rolls, self.order.chosen(epoch, number))

    def columns(self, epoch: int, number: int, choose: Choose) -> Batch:
        """Return some of these rolls; the others are not read."""
        chosen = self.order.chosen(epoch, number)
        return _batch(self.rolls, chosen[choose(len(chosen), self.rolls.lengths[chosen] - 1)])


@attrs.frozen(kw_only=True)
class Rolls(Task):
    """Predict the next step of binary sequences of many channels, such as piano rolls.

    Files: NPZ with `x` [samples, steps, channels] of zeros and ones and `lengths` [samples], or with sequences laid end
    to end, x [steps of all, channels]. Where a file has the parts `train`, `valid` and `test` (with `train_lengths` and
    others), the first is trained on, the second is held out, and `rnnframe evaluate --data` takes the third.
    """

    name: ClassVar[str] = "rolls"
    unit: ClassVar[str] = "nats/step"
    predicts_inputs: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("data", "held_out", "all", "learnt")
    learns: ClassVar[type[Any]] = Learnt

    def open(self, setting: Setting) -> RollData:
        """Read rolls; raises `DataError`."""
        if setting.data is None:
            raise DataError("task 'rolls' has no data of its own; give an .npz file with --data FILE")
        parts, remarks = _read(setting.data)
        rolls = parts.get("train", next(iter(parts.values())))
        kept, name = parts.get("valid") if "train" in parts else None, f"the part valid of {setting.data}"
        if kept is not None and rolls.channels != kept.channels:
            raise DataError(f"data file {setting.data!r}: train has {rolls.channels} channels, valid {kept.channels}")
        if setting.learnt is not None:
            _check_channels(rolls, setting.learnt, setting.data)
        train, valid = rolls, kept
        if not setting.held_out:
            train, valid = rolls if kept is None else rolls.followed_by(kept), None
            remarks += ("trained on the parts train and valid",) if kept is not None else ()
        elif kept is None:
            chosen, rest = held_out(len(rolls), setting.held_out, setting.seed, f"data file {setting.data!r}")
            train, valid, name = rolls.take(chosen), rolls.take(rest), f"{len(rest)} held-out rolls of {setting.data}"
        held = [] if valid is None else [valid.values, valid.lengths]
        return RollData(
            inputs=train.channels,
            head=f"bernoulli:outputs={train.channels}",
            learnt=Learnt(channels=train.channels),
            digest=digest([train.values, train.lengths, *held]),
            valid=None if valid is None else RollExamples(name=name, rolls=valid, batch=setting.batch),
            remarks=remarks,
            rolls=train,
            order=Shuffled(len(train), setting.batch, setting.seed),
        )

    def examples(self, data: str, learnt: Learnt, batch: int) -> RollExamples:
        """Return the part `test` of a file that has one, else all of it."""
        parts, remarks = _read(data)
        part = "test" if "test" in parts else next(iter(parts))
        rolls = parts[part]
        _check_channels(rolls, learnt, data)
        return RollExamples(
            name=data if part == "x" else f"the part {part} of {data}", rolls=rolls, batch=batch, remarks=remarks
        )


def _check_channels(rolls: Sequences, learnt: Learnt, path: str) -> None:
    if rolls.channels != learnt.channels:
        raise DataError(f"data file {path!r} has {rolls.channels} channels; the model takes {learnt.channels}")


def _read(path: str) -> tuple[dict[str, Sequences], tuple[str, ...]]:
    """Return the parts of a file, "x" where it has none, and what was not read of it."""
    if Path(path).suffix.lower() != ".npz":
        raise DataError(f"cannot tell what data file {path!r} is; end its name in .npz")
    arrays = read_npz(path)
    names = [name for name in ("x", *PARTS) if name in arrays]
    if not names:
        told = ", ".join(arrays) or "none"
        raise DataError(
            f"data file {path!r} has the arrays {told}; expected x and lengths, or train, train_lengths, ..."
        )
    lengths = ["lengths" if name == "x" else f"{name}_lengths" for name in names]
    parts = {name: _part(arrays, name, f"data file {path!r}, {name}") for name in names}
    return parts, tuple(unread(arrays, (*names, *lengths)))


def _part(arrays: Mapping[str, Array], name: str, where: str) -> Sequences:
    values = arrays[name]
    rolls = sequences_of(values, arrays.get("lengths" if name == "x" else f"{name}_lengths"), where)
    wrong = (rolls.values != 0) & (rolls.values != 1)
    if wrong.any():
        raise DataError(f"{where} holds {rolls.values[wrong][0]}; expected zeros and ones")
    if rolls.lengths.min() < 2:
        raise DataError(f"{where}: roll {int(rolls.lengths.argmin())} has 1 step; at least 2 are needed to predict one")
    return rolls


def _batch(rolls: Sequences, chosen: Array) -> Batch:
    block = rolls.padded(chosen).astype(np.float32)
    return Batch(block[:-1], block[1:], lengths=rolls.lengths[chosen] - 1)


def _lengths(predicted: Predicted) -> Array:
    lengths: Any = predicted.batch.lengths
    return np.asarray(lengths)
