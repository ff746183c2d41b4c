"""The options of a training, with one source for the command line, configuration files and embedders."""

from typing import Any, Literal

import attrs
from attrs.validators import and_, ge, gt, in_, le, lt, optional

from rnnframe.contracts.task import Setting, Task
from rnnframe.errors import OptionError
from rnnframe.registry.stacks import USUAL, check_layers
from rnnframe.training.groups import ParameterGroup

_ABOVE_ZERO: Any = optional(gt(0))


def _readable(_: Any, __: Any, texts: tuple[str, ...]) -> None:
    for text in texts:
        ParameterGroup.parse(text)


def specs(value: Any) -> Any:
    """Return one spec or several as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class TrainingOptions:
    """The options of `rnnframe train`, on the command line and in a configuration file."""

    task: str = attrs.field(default="characters", metadata={"help": "what is trained for; `rnnframe show` explains it"})
    data: str | None = attrs.field(
        default=None,
        metadata={"help": "file to train on; by default what the task has of its own"},
    )
    cell: tuple[str, ...] = attrs.field(
        default=USUAL,
        converter=specs,
        metadata={"help": "cell of a layer; several from the input upwards"},
    )
    layers: int | str = attrs.field(
        default=1,
        validator=check_layers,
        metadata={
            "help": "how often the cells are stacked; or all layers in one text, such as 'dropout 2*lstm:hidden=64'",
            "metavar": "N|SPECS",
        },
    )
    store: str = attrs.field(default="full-history", metadata={"help": "what is remembered of the past"})
    optimizer: str = attrs.field(default="adam:lr=5e-3", metadata={"help": "rule of the updates"})
    freeze: tuple[str, ...] = attrs.field(
        default=(),
        converter=specs,
        metadata={"help": "parameters that stay as they are, such as layer0.*; may be repeated", "metavar": "PATTERN"},
    )
    group: tuple[str, ...] = attrs.field(
        default=(),
        converter=specs,
        validator=_readable,
        metadata={
            "help": "parameters with lr times the learning rate, or another weight decay; may be repeated",
            "metavar": "PATTERN:lr=X,decay=Y",
        },
    )
    rate: str = attrs.field(default="cosine:floor=0.05", metadata={"help": "learning-rate schedule"})
    clip: float | None = attrs.field(
        default=1.0,
        validator=_ABOVE_ZERO,
        metadata={"help": "largest global norm of the gradient; none: no limit"},
    )
    batch: int = attrs.field(default=32, validator=ge(1), metadata={"help": "samples read side by side"})
    steps: int = attrs.field(
        default=64, validator=ge(1), metadata={"help": "of a training sequence, where the data has no ends of its own"}
    )
    epochs: int = attrs.field(default=6, validator=ge(1), metadata={"help": "passes over the data"})
    held_out: float = attrs.field(
        default=0.1, validator=and_(gt(0), lt(1)), metadata={"help": "part of the data kept for validation"}
    )
    seed: int = attrs.field(default=0, validator=ge(0), metadata={"help": "of the starting values and every draw"})
    embedding_std: float = attrs.field(
        default=2.0,
        validator=and_(gt(0.0), le(1e6)),
        metadata={"help": "spread of the starting rows of U, where inputs are looked up there"},
    )
    dtype: Literal["float32", "float64"] = attrs.field(
        default="float32", validator=in_(("float32", "float64")), metadata={"help": "of parameters and states"}
    )
    chunk: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "steps per chunk; none: 512 rows with the batch or more, with store checkpoint 256"},
    )
    shards: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "threads that share the batch; none: as many as cores, if each has enough to do"},
    )
    kernels: str = attrs.field(
        default="auto",
        metadata={
            "help": "what computes the cells: numpy, compiled, names with + between them, or auto for the best of each"
        },
    )
    accumulate: int = attrs.field(
        default=1, validator=ge(1), metadata={"help": "batches whose gradients make one update together"}
    )
    on_nonfinite: Literal["stop", "skip"] = attrs.field(
        default="stop",
        validator=in_(("stop", "skip")),
        metadata={"help": "what a loss or gradient that is NaN or infinite does: stop the run, or skip the batch"},
    )
    evaluate_every: int | None = attrs.field(
        default=None, validator=optional(ge(1)), metadata={"help": "batches between evaluations; none: an epoch"}
    )
    patience: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "evaluations without a better one before the run stops; none: to the last epoch"},
    )
    keep: int = attrs.field(
        default=2, validator=ge(1), metadata={"help": "checkpoints that stay, the best one not counted"}
    )
    save_every: int | None = attrs.field(
        default=None, validator=optional(ge(1)), metadata={"help": "batches between checkpoints; none: an epoch"}
    )
    plugin: tuple[str, ...] = attrs.field(default=(), converter=specs)
    """Plugin files and modules that are used and not installed; `rnnframe --plugin` names them."""

    @property
    def groups(self) -> tuple[ParameterGroup, ...]:
        """The groups of parameters that `freeze` and `group` name."""
        frozen = [ParameterGroup(pattern, freeze=True) for pattern in self.freeze]
        return (*frozen, *map(ParameterGroup.parse, self.group))

    def setting(self, task: Task) -> Setting:
        """Return what a task is told; raises `OptionError` for an option that means nothing to it."""
        for name in ("data", "steps", "held_out"):
            value = getattr(self, name)
            if name not in task.takes and value != attrs.fields_dict(TrainingOptions)[name].default:
                flag = "--" + name.replace("_", "-")
                raise OptionError(
                    f"task {task.name!r} takes no {flag} ({value}); leave it out (see `rnnframe show {task.name}`)"
                )
        return Setting(data=self.data, batch=self.batch, steps=self.steps, held_out=self.held_out, seed=self.seed)
