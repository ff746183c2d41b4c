"""What the tasks share that predict one thing of a whole sequence: `classify` a class, `regress` a number."""

import abc
from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import ge, in_, optional

from rnnframe.plugin import Array, Batch, Choose, DataError, Dataset, Examples, Predicted, Setting, Task
from rnnframe_tasks.files import digest
from rnnframe_tasks.gaps import Missing, check_gaps, filled
from rnnframe_tasks.labelled import Labelled
from rnnframe_tasks.npz_sequences import AXES
from rnnframe_tasks.scales import Scale, numbers
from rnnframe_tasks.sequence_files import read_sequences
from rnnframe_tasks.sequences import Sequences, Shuffled, in_order

Axes = Literal["nt", "ntc", "nct", "tc"]


@attrs.frozen(kw_only=True)
class Scales:
    """The scale of each channel."""

    mean: tuple[float, ...] = attrs.field(converter=numbers)
    spread: tuple[float, ...] = attrs.field(converter=numbers)

    @property
    def scale(self) -> Scale:
        """What inputs are standardised with."""
        return Scale(np.array(self.mean), np.array(self.spread))


@attrs.frozen(kw_only=True, eq=False)
class WholeExamples(Examples):
    """Sequences, standardised, with targets or without."""

    sequences: Sequences
    y: Array | None
    batch: int

    def batches(self) -> Iterator[Batch]:
        """Yield the sequences in the order of the file."""
        for chosen in in_order(len(self.sequences), self.batch):
            yield batch_of(self.sequences, self.y, chosen)


@attrs.frozen(kw_only=True, eq=False)
class WholeData(Dataset):
    """Sequences with targets in an order of their own in each epoch."""

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
        return batch_of(self.sequences, self.y, self.order.chosen(epoch, number))

    def columns(self, epoch: int, number: int, choose: Choose) -> Batch:
        """Return some of these sequences; the others are not read."""
        chosen = self.order.chosen(epoch, number)
        return batch_of(self.sequences, self.y, chosen[choose(len(chosen), self.sequences.lengths[chosen])])


@attrs.frozen(kw_only=True)
class WholeSequences(Task):
    """A task with one target for a whole sequence of one or more channels, of any length."""

    counted: ClassVar[str] = "sequences"
    takes: ClassVar[tuple[str, ...]] = ("data", "held_out", "all", "learnt")
    standardize: bool = attrs.field(
        default=True, metadata={"help": "whether channels are scaled to mean 0 and spread 1 of the training part"}
    )
    missing: Missing = attrs.field(
        default="refuse",
        validator=in_(("refuse", "last", "mean")),
        metadata={"help": "what a missing value is read as: an error, the last known one, or the channel's mean"},
    )
    frame: int = attrs.field(
        default=1, validator=ge(1), metadata={"help": "neighbouring steps that are read as one, with all their values"}
    )
    axes: Axes | None = attrs.field(
        default=None,
        validator=optional(in_(AXES)),
        metadata={"help": "axes of x in a NPZ file: n samples, t steps, c channels; tc lies end to end"},
    )
    target: str | None = attrs.field(
        default=None,
        metadata={"help": "name of the targets: an array of a NPZ file, a key of JSON lines (y), an attribute of .tsf"},
    )

    def read(self, path: str | None) -> Labelled:
        """Return the samples of a file with their gaps; raises `DataError`."""
        if path is None:
            raise DataError(
                f"task {self.name!r} has no data of its own; give a file such as .ts, .tsv or .npz with --data FILE"
            )
        read = read_sequences(path, self.axes, self.target)
        check_gaps(read.sequences, self.missing, f"data file {path!r}")
        return read

    def scale_of(self, sequences: Sequences, path: str | None) -> tuple[Scale, Array]:
        """Return what the training part is standardised with, and the means that gaps are filled with."""
        known = ~np.isnan(sequences.values)
        if not known.any(axis=0).all():
            channel = int(np.argmin(known.any(axis=0))) + 1
            raise DataError(f"data file {path!r}: channel {channel} has no value in the training part; leave it out")
        scale = Scale.of(np.where(known, sequences.values, 0), known)
        return (scale if self.standardize else Scale.none(sequences.channels)), scale.mean

    def scale_for(self, sequences: Sequences, setting: Setting) -> tuple[Scale, Array]:
        """Return scale and means of the training part, or those that a model has learnt that goes on with it."""
        path, learnt = str(setting.data), setting.learnt
        if learnt is None:
            return self.scale_of(sequences, path)
        self.check_channels(sequences, len(learnt.mean), path)
        return learnt.scale, np.array(learnt.fill or learnt.mean)

    def ready(self, sequences: Sequences, scale: Scale, mean: Array) -> Sequences:
        """Return sequences without gaps, standardised and in frames."""
        whole = filled(sequences, self.missing, mean)
        return Sequences(scale.apply(whole.values), whole.lengths).framed(self.frame)

    def check_channels(self, sequences: Sequences, channels: int, path: str) -> None:
        """Raise `DataError` for a file with other channels than the model takes."""
        if sequences.channels != channels:
            raise DataError(f"data file {path!r} has {sequences.channels} channels; the model takes {channels}")

    @abc.abstractmethod
    def open(self, setting: Setting) -> WholeData:
        """Return the data to train on."""


def digest_of(read: Labelled, targets: Array) -> str:
    """Return what tells data apart, and how it was divided."""
    return digest([read.sequences.values, read.sequences.lengths, *targets.astype(str).tolist(), "parts of each class"])


def batch_of(sequences: Sequences, y: Array | None, chosen: Array) -> Batch:
    """Return some sequences side by side."""
    return Batch(sequences.padded(chosen), None if y is None else y[chosen], lengths=sequences.lengths[chosen])


def at_the_end(predicted: Predicted) -> Array:
    """Return the outputs after the last real step of each sample, [B, outputs]."""
    lengths = predicted.batch.lengths
    assert lengths is not None
    last: Array = predicted.outputs[lengths - 1, np.arange(len(lengths))]
    return last
