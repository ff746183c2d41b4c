"""The task `regress`: one number for a whole sequence of one or more channels, of any length."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError, Predicted, Setting
from rnnframe_tasks.labelled import Labelled
from rnnframe_tasks.parts import held_out
from rnnframe_tasks.scales import Scale, numbers
from rnnframe_tasks.sequences import Shuffled
from rnnframe_tasks.whole import Scales, WholeData, WholeExamples, WholeSequences, at_the_end, digest_of


@attrs.frozen(kw_only=True)
class Learnt(Scales):
    """The scale of each channel, what gaps are filled with, and mean and spread of the targets."""

    fill: tuple[float, ...] = attrs.field(converter=numbers)
    target_mean: float = attrs.field(converter=float)
    target_spread: float = attrs.field(converter=float)

    @property
    def target_scale(self) -> Scale:
        """What targets are standardised with."""
        return Scale(np.array([self.target_mean]), np.array([self.target_spread]))


@attrs.frozen(kw_only=True, eq=False)
class NumberExamples(WholeExamples):
    """Sequences, standardised, with numbers or without."""

    targets: Array | None
    """In the unit of the data, [N]."""
    scale: Scale

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """The errors in the unit of the targets, and that of the mean of the training part for every sample."""
        if self.targets is None:
            return {}
        errors = np.concatenate([self._values(each) for each in predicted]) - self.targets
        mean = self.scale.mean[0] - self.targets
        return {
            "mean absolute error": float(np.abs(errors).mean()),
            "root mean squared error": float(np.sqrt(np.square(errors).mean())),
            "that of the mean": float(np.sqrt(np.square(mean).mean())),
        }

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """The number of each sequence, in the unit of the targets."""
        for each in predicted:
            yield {"value": self._values(each)}

    def _values(self, predicted: Predicted) -> Array:
        values: Array = at_the_end(predicted)[:, 0] * self.scale.spread[0] + self.scale.mean[0]
        return values


@attrs.frozen(kw_only=True)
class Regress(WholeSequences):
    """Predict a number for a whole sequence, by the state after its last step.

    Files: `.ts` with @targetLabel true, `.arff` with a numeric last attribute, JSON lines {"x": [...], "y": 1.5},
    or NPZ with `x` [samples, steps, channels], `y` [samples] and `lengths` [samples] where samples are padded. Targets
    are standardised; errors and predictions are in their unit. A share of the samples is drawn and held out.
    """

    name: ClassVar[str] = "regress"
    unit: ClassVar[str] = "squared error/sequence"
    learns: ClassVar[type[Any]] = Learnt

    def open(self, setting: Setting) -> WholeData:
        """Read sequences with numbers; raises `DataError`."""
        read, what = self.read(setting.data), f"data file {setting.data!r}"
        targets = _numbers(read, what)
        if targets is None:
            raise DataError(f"{what} has no numbers to learn; add them (y, or @targetLabel true)")
        train, kept = held_out(len(targets), setting.held_out, setting.seed, what)
        sequences = read.sequences.take(train)
        scale, mean = self.scale_for(sequences, setting)
        of_targets = Scale.of(targets[train, None]) if setting.learnt is None else setting.learnt.target_scale
        y = of_targets.apply(targets[:, None])
        return WholeData(
            inputs=sequences.channels * self.frame,
            head="mse:outputs=1,at=last",
            learnt=Learnt(
                mean=scale.mean,
                spread=scale.spread,
                fill=mean,
                target_mean=of_targets.mean[0],
                target_spread=of_targets.spread[0],
            ),
            digest=digest_of(read, targets),
            valid=None
            if not len(kept)
            else NumberExamples(
                name=f"{len(kept)} held-out samples of {setting.data}",
                sequences=self.ready(read.sequences.take(kept), scale, mean),
                y=y[kept],
                targets=targets[kept],
                scale=of_targets,
                batch=setting.batch,
            ),
            remarks=read.remarks,
            sequences=self.ready(sequences, scale, mean),
            y=y[train],
            order=Shuffled(len(train), setting.batch, setting.seed),
        )

    def examples(self, data: str, learnt: Learnt, batch: int) -> NumberExamples:
        """Return all samples of a file; raises `DataError` for channels that the model does not know."""
        read = self.read(data)
        self.check_channels(read.sequences, len(learnt.mean), data)
        targets = _numbers(read, f"data file {data!r}")
        return NumberExamples(
            name=data,
            sequences=self.ready(read.sequences, learnt.scale, np.array(learnt.fill)),
            y=None if targets is None else learnt.target_scale.apply(targets[:, None]),
            targets=targets,
            scale=learnt.target_scale,
            batch=batch,
            remarks=read.remarks,
        )


def _numbers(read: Labelled, where: str) -> Array | None:
    """Return targets as numbers [N], None where there are none."""
    if read.targets is None:
        return None
    if read.kind == "classes":
        raise DataError(f"{where} has classes as targets, such as {str(read.targets[0])!r}; use --task classify")
    try:
        values = read.targets.astype(np.float64)
    except ValueError:
        raise DataError(f"{where} has texts as targets; expected numbers, or use --task classify") from None
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(f"{where}: the target of sample {wrong[0] + 1} is {values[wrong[0]]}; expected a number")
    return values
