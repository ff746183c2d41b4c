"""The task `classify`: one class for a whole sequence of one or more channels, of any length."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import in_, optional

from rnnframe.plugin import Array, DataError, Predicted, Setting, UsageError
from rnnframe_tasks.labelled import Labelled
from rnnframe_tasks.parts import held_out_of_each
from rnnframe_tasks.scales import numbers
from rnnframe_tasks.sequences import Shuffled, scalar_texts
from rnnframe_tasks.single_steps import ClassSteps
from rnnframe_tasks.whole import Scales, WholeData, WholeExamples, WholeSequences, at_the_end, digest_of


@attrs.frozen(kw_only=True)
class Learnt(Scales):
    """The classes in the order of their numbers, the scale of each channel, and what gaps are filled with."""

    labels: tuple[str, ...] = attrs.field(converter=scalar_texts)
    fill: tuple[float, ...] = attrs.field(default=(), converter=numbers)


@attrs.frozen(kw_only=True, eq=False)
class SequenceExamples(WholeExamples):
    """Sequences, standardised, with class numbers or without."""

    labels: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of their numbers."""
        return self.labels

    def decisions(self, predicted: Predicted) -> tuple[Array, Array]:
        """The true and the likeliest class of each sequence of a batch."""
        return np.asarray(predicted.batch.y), at_the_end(predicted).argmax(axis=1)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """The share of sequences that are put into their class."""
        right = count = 0
        for each in predicted:
            if each.batch.y is not None:
                true, found = self.decisions(each)
                right += int((true == found).sum())
                count += each.batch.samples
        return {"accuracy": right / max(1, count)}

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """The likeliest class of each sequence, and the probability of each class."""
        for each in predicted:
            p = at_the_end(each)
            chosen = np.array(self.labels)[p.argmax(axis=1)]
            yield {"class": chosen, **{f"p({label})": p[:, n] for n, label in enumerate(self.labels)}}


@attrs.frozen(kw_only=True)
class Classify(WholeSequences):
    """Put whole sequences into classes, by the state after their last step.

    Files: `.ts`, `.arff` and `.tsv` of the UEA and UCR archives, JSON lines {"x": [...], "y": "class"}, `.tsf`, or NPZ
    with `x` [samples, steps, channels], `y` [samples] of integers or texts, and `lengths` [samples] where samples are
    padded. A share of the samples of each class is drawn and held out.
    """

    name: ClassVar[str] = "classify"
    unit: ClassVar[str] = "nats/sequence"
    learns: ClassVar[type[Any]] = Learnt
    class_weights: Literal["balanced"] | None = attrs.field(
        default=None,
        validator=optional(in_(("balanced",))),
        metadata={"help": "balanced: the losses of all classes together count the same; none: of all samples"},
    )

    def open(self, setting: Setting) -> WholeData:
        """Read labelled sequences; raises `DataError`."""
        read, what = self.read(setting.data), f"data file {setting.data!r}"
        targets = _classes(read, what)
        if targets is None:
            raise DataError(f"{what} has no classes to learn; add them (y, or @classLabel true)")
        found = tuple(np.unique(targets).tolist())
        if len(targets) > 1 and len(found) < 2:
            raise DataError(f"{what} has the class {found[0]!r} alone; at least 2 are needed")
        labels = found if setting.learnt is None else setting.learnt.labels
        strange = _strange(targets, labels, what)
        if strange:
            raise DataError(f"{strange}; leave such samples out, or train from scratch, without --init-from")
        y = np.searchsorted(np.array(labels), targets).astype(np.int32)
        train, kept = held_out_of_each(y, setting.held_out, setting.seed, what)
        sequences = read.sequences.take(train)
        scale, mean = self.scale_for(sequences, setting)
        return WholeData(
            inputs=sequences.channels * self.frame,
            head=f"softmax:classes={len(labels)},at=last{self._weights(y[train], len(labels))}",
            learnt=Learnt(labels=labels, mean=scale.mean, spread=scale.spread, fill=mean),
            digest=digest_of(read, targets),
            valid=None
            if not len(kept)
            else SequenceExamples(
                name=f"{len(kept)} held-out samples of {setting.data}",
                sequences=self.ready(read.sequences.take(kept), scale, mean),
                y=y[kept],
                labels=labels,
                batch=setting.batch,
            ),
            remarks=(*read.remarks, *_lost(read, labels, y[kept])),
            sequences=self.ready(sequences, scale, mean),
            y=y[train],
            order=Shuffled(len(train), setting.batch, setting.seed),
        )

    def step_units(self, learnt: Learnt) -> ClassSteps:
        """Return steps of all channels; raises `UsageError` where several are read as one."""
        if self.frame > 1:
            raise UsageError(
                f"a model with frame={self.frame} reads no single steps; run its network: network.stream()"
            )
        return ClassSteps(scale=learnt.scale, labels=learnt.labels)

    def _weights(self, y: Array, classes: int) -> str:
        """Return the option of the head: N / (classes N_c) for each class c."""
        if self.class_weights is None:
            return ""
        weights = len(y) / (classes * np.maximum(1, np.bincount(y, minlength=classes)))
        return f",class_weights={';'.join(map(repr, weights.tolist()))}"

    def examples(self, data: str, learnt: Learnt, batch: int) -> SequenceExamples:
        """Return all samples of a file; raises `DataError` for channels that the model does not know.

        With a class that it does not know a file can be predicted for, and is not judged.
        """
        read = self.read(data)
        self.check_channels(read.sequences, len(learnt.mean), data)
        targets, known = _classes(read, f"data file {data!r}"), np.array(learnt.labels)
        unjudged = None if targets is None else _strange(targets, learnt.labels, f"data file {data!r}")
        y = None if targets is None or unjudged else np.searchsorted(known, targets).astype(np.int32)
        return SequenceExamples(
            name=data,
            sequences=self.ready(read.sequences, learnt.scale, np.array(learnt.fill or learnt.mean)),
            y=y,
            labels=learnt.labels,
            batch=batch,
            remarks=read.remarks,
            unjudged=unjudged,
        )


def _classes(read: Labelled, where: str) -> Array | None:
    if read.kind == "numbers" and read.targets is not None:
        raise DataError(
            f"{where} has numbers as targets, such as {read.targets[0]:g}; learn them with --task regress, "
            "or write classes as texts or whole numbers"
        )
    return read.targets


def _strange(targets: Array, labels: tuple[str, ...], what: str) -> str | None:
    """Return what to say of the first sample whose class is none of `labels`; None where there is no such sample."""
    known = np.isin(targets, np.array(labels))
    if known.all():
        return None
    first = int(np.argmin(known))
    return f"{what}: sample {first + 1} is of class {str(targets[first])!r}; the model knows {', '.join(labels)}"


def _lost(read: Labelled, labels: tuple[str, ...], kept: Array) -> Iterator[str]:
    """Yield a sentence for the classes that are not learnt, and for those that are not held out."""
    absent = [label for label in read.classes if label not in labels]
    if absent:
        yield f"no sample is of {_named(absent)}, which its header names; the model will not know it"
    if not len(kept):
        return
    alone = [label for number, label in enumerate(labels) if number not in kept]
    if alone:
        yield f"nothing is held out of {_named(alone)}, with too few samples: no validation tells how it is learnt"


def _named(labels: list[str]) -> str:
    more = f" and {len(labels) - 8} others" if len(labels) > 8 else ""
    return f"class{'es' if len(labels) > 1 else ''} {', '.join(labels[:8])}{more}"
