"""The task `classify`: one class for a whole sequence of one or more channels, of any length."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Batch, DataError, Dataset, Examples, Predicted, Setting, Task
from rnnframe_tasks.files import digest, read_npz
from rnnframe_tasks.scales import Scale, numbers
from rnnframe_tasks.sequences import Sequences, Shuffled, held_out, in_order, scalar_texts
from rnnframe_tasks.ts import Labelled, read_ts


@attrs.frozen(kw_only=True)
class Learnt:
    """The classes in the order of their numbers, and the scale of each channel."""

    labels: tuple[str, ...] = attrs.field(converter=scalar_texts)
    mean: tuple[float, ...] = attrs.field(converter=numbers)
    spread: tuple[float, ...] = attrs.field(converter=numbers)

    @property
    def scale(self) -> Scale:
        """What inputs are standardised with."""
        return Scale(np.array(self.mean), np.array(self.spread))


@attrs.frozen(kw_only=True, eq=False)
class SequenceExamples(Examples):
    """Sequences, standardised, with class numbers or without."""

    sequences: Sequences
    y: Array | None
    labels: tuple[str, ...]
    batch: int

    def batches(self) -> Iterator[Batch]:
        """Yield the sequences in the order of the file."""
        for chosen in in_order(len(self.sequences), self.batch):
            yield _batch(self.sequences, self.y, chosen)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """The share of sequences that are put into their class."""
        right = count = 0
        for each in predicted:
            if each.batch.y is not None:
                right += int((_at_the_end(each).argmax(axis=1) == each.batch.y).sum())
                count += each.batch.samples
        return {"accuracy": right / max(1, count)}

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """The likeliest class of each sequence, and the probability of each class."""
        for each in predicted:
            p = _at_the_end(each)
            chosen = np.array(self.labels)[p.argmax(axis=1)]
            yield {"class": chosen, **{f"p({label})": p[:, n] for n, label in enumerate(self.labels)}}


@attrs.frozen(kw_only=True, eq=False)
class SequenceData(Dataset):
    """Labelled sequences in an order of their own in each epoch."""

    sequences: Sequences
    y: Array
    order: Shuffled

    @property
    def batches(self) -> int:
        """As many as hold all sequences."""
        return self.order.batches

    def shape(self, number: int) -> tuple[int, int]:
        """The longest sequence, and the samples of the batch."""
        return int(self.sequences.lengths.max()), self.order.size(number)

    def batch(self, epoch: int, number: int) -> Batch:
        """Return sequences drawn from seed and epoch."""
        return _batch(self.sequences, self.y, self.order.chosen(epoch, number))


@attrs.frozen(kw_only=True)
class Classify(Task):
    """Put whole sequences into classes, by the state after their last step.

    Files: `.ts` of the UEA and UCR archives, or NPZ with `x` [samples, steps, channels], `y` [samples] of integers or
    texts, and `lengths` [samples] where samples are padded. A share of the samples is drawn and held out.
    """

    name: ClassVar[str] = "classify"
    unit: ClassVar[str] = "nats/sequence"
    counted: ClassVar[str] = "sequences"
    takes: ClassVar[tuple[str, ...]] = ("data", "held_out")
    learns: ClassVar[type[Any]] = Learnt
    standardize: bool = attrs.field(
        default=True, metadata={"help": "whether channels are scaled to mean 0 and spread 1 of the training part"}
    )

    def open(self, setting: Setting) -> SequenceData:
        """Read labelled sequences; raises `DataError`."""
        if setting.data is None:
            raise DataError("task 'classify' has no data of its own; give a .ts or .npz file with --data FILE")
        read = _read(setting.data)
        if read.labels is None:
            raise DataError(f"data file {setting.data!r} has no classes to learn; add them (y, or @classLabel true)")
        train, kept = held_out(len(read.sequences), setting.held_out, setting.seed, f"data file {setting.data!r}")
        labels = tuple(np.unique(read.labels).tolist())
        if len(labels) < 2:
            raise DataError(f"data file {setting.data!r} has the class {labels[0]!r} alone; at least 2 are needed")
        y = np.searchsorted(np.array(labels), read.labels).astype(np.int32)
        sequences = read.sequences.take(train)
        scale = Scale.of(sequences.values) if self.standardize else Scale.none(sequences.channels)
        learnt = Learnt(labels=labels, mean=scale.mean, spread=scale.spread)
        return SequenceData(
            inputs=sequences.channels,
            head=f"softmax:classes={len(labels)},at=last",
            learnt=learnt,
            digest=digest([read.sequences.values, read.sequences.lengths, *read.labels.tolist()]),
            valid=SequenceExamples(
                name=f"{len(kept)} held-out samples of {setting.data}",
                sequences=_scaled(read.sequences.take(kept), scale),
                y=y[kept],
                labels=labels,
                batch=setting.batch,
            ),
            sequences=_scaled(sequences, scale),
            y=y[train],
            order=Shuffled(len(train), setting.batch, setting.seed),
        )

    def examples(self, data: str, learnt: Learnt, batch: int) -> SequenceExamples:
        """Return all samples of a file; raises `DataError` for channels or classes that the model does not know."""
        read = _read(data)
        known, channels = np.array(learnt.labels), len(learnt.mean)
        if read.sequences.channels != channels:
            raise DataError(f"data file {data!r} has {read.sequences.channels} channels; the model takes {channels}")
        y = None
        if read.labels is not None:
            strange = np.flatnonzero(~np.isin(read.labels, known))
            if len(strange):
                label = str(read.labels[strange[0]])
                raise DataError(
                    f"data file {data!r}: sample {strange[0]} is of class {label!r}; "
                    f"the model knows {', '.join(learnt.labels)}"
                )
            y = np.searchsorted(known, read.labels).astype(np.int32)
        return SequenceExamples(
            name=data, sequences=_scaled(read.sequences, learnt.scale), y=y, labels=learnt.labels, batch=batch
        )


def _read(path: str) -> Labelled:
    kind = Path(path).suffix.lower()
    if kind == ".ts":
        return read_ts(path)
    if kind != ".npz":
        raise DataError(f"cannot tell what data file {path!r} is; end its name in .ts or .npz")
    arrays = read_npz(path)
    if "x" not in arrays:
        raise DataError(f"data file {path!r} has the arrays {', '.join(arrays) or 'none'}; expected x, y and lengths")
    sequences = Sequences.read(arrays["x"], arrays.get("lengths"), f"data file {path!r}, x")
    labels = arrays.get("y")
    if labels is None:
        return Labelled(sequences, None)
    if labels.shape != (len(sequences),) or labels.dtype.kind not in "iuUb":
        raise DataError(
            f"data file {path!r}: y is {labels.dtype} {list(labels.shape)}; "
            f"expected integers or texts, one for each of {len(sequences)} samples"
        )
    return Labelled(sequences, labels.astype(str))


def _scaled(sequences: Sequences, scale: Scale) -> Sequences:
    return Sequences(scale.apply(sequences.values), sequences.lengths)


def _batch(sequences: Sequences, y: Array | None, chosen: Array) -> Batch:
    return Batch(sequences.padded(chosen), None if y is None else y[chosen], lengths=sequences.lengths[chosen])


def _at_the_end(predicted: Predicted) -> Array:
    """Return the outputs after the last real step of each sample, [B, outputs]."""
    lengths = predicted.batch.lengths
    assert lengths is not None
    last: Array = predicted.outputs[lengths - 1, np.arange(len(lengths))]
    return last
