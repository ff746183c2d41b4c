"""The options of a training, with one source for the command line, configuration files and embedders."""

from typing import Any, Literal

import attrs
from attrs.validators import and_, ge, gt, in_, le, lt, optional

from rnnframe.contracts.task import Setting, Task
from rnnframe.errors import OptionError
from rnnframe.registry.stacks import USUAL, check_layers
from rnnframe.training.averaging import ExponentialAverage
from rnnframe.training.groups import ParameterGroup

_ABOVE_ZERO: Any = optional(gt(0))


def _readable(_: Any, __: Any, texts: tuple[str, ...]) -> None:
    for text in texts:
        ParameterGroup.parse(text)


def _is_average(_: Any, __: Any, text: str) -> None:
    ExponentialAverage.parse(text)


def specs(value: Any) -> Any:
    """Return one spec or several as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)


@attrs.frozen(kw_only=True)
class TrainingOptions:
    """The options of `rnnframe train`, on the command line and in a configuration file."""

    task: str = attrs.field(
        default="characters", metadata={"help": "task to train for; `rnnframe show tasks` lists them"}
    )
    data: str | None = attrs.field(
        default=None,
        metadata={"help": "file to train on; by default the data that comes with the task"},
    )
    cell: tuple[str, ...] = attrs.field(
        default=USUAL,
        converter=specs,
        metadata={"help": "cell of a layer; repeat it for more layers, from the input upwards"},
    )
    layers: int | str = attrs.field(
        default=1,
        validator=check_layers,
        metadata={
            "help": "how many times to stack the cells; or all layers in one text, such as 'dropout 2*lstm:hidden=64'",
            "metavar": "N|SPECS",
        },
    )
    store: str = attrs.field(default="full-history", metadata={"help": "state store: what is kept of the past"})
    optimizer: str = attrs.field(default="adam:lr=5e-3", metadata={"help": "optimizer that updates the parameters"})
    freeze: tuple[str, ...] = attrs.field(
        default=(),
        converter=specs,
        metadata={"help": "parameters that are not trained, such as layer0.*; may be repeated", "metavar": "PATTERN"},
    )
    group: tuple[str, ...] = attrs.field(
        default=(),
        converter=specs,
        validator=_readable,
        metadata={
            "help": "factor of the learning rate and weight decay of some parameters; may be repeated",
            "metavar": "PATTERN:lr=X,decay=Y",
        },
    )
    average: str | None = attrs.field(
        default=None,
        validator=optional(_is_average),
        metadata={
            "help": "average of the parameters that is evaluated and kept, such as ema:decay=0.999; none: the last ones"
        },
    )
    rate: str = attrs.field(default="cosine:floor=0.05", metadata={"help": "learning-rate schedule"})
    clip: float | None = attrs.field(
        default=1.0,
        validator=_ABOVE_ZERO,
        metadata={"help": "limit of the gradient's global norm; none: no limit"},
    )
    batch: int = attrs.field(default=32, validator=ge(1), metadata={"help": "samples in a batch"})
    steps: int = attrs.field(
        default=64, validator=ge(1), metadata={"help": "length of a training sequence, if the data is one long stream"}
    )
    init_from: str | None = attrs.field(
        default=None,
        metadata={
            "help": "run whose weights the training starts from; with its task, its network and what it has learnt "
            "(scales, symbols, classes), on other data",
            "metavar": "RUN",
        },
    )
    init_checkpoint: str = attrs.field(
        default="best",
        metadata={"help": "weights of that run: best, last, or the number of a checkpoint", "metavar": "NAME"},
    )
    epochs: int = attrs.field(default=6, validator=ge(1), metadata={"help": "passes over the data"})
    held_out: float = attrs.field(
        default=0.1,
        validator=and_(ge(0), lt(1)),
        metadata={"help": "share of the data that is kept for validation; 0: none, all of it is trained on"},
    )
    valid: str | None = attrs.field(
        default=None,
        metadata={
            "help": "file to validate on, read with what was learnt from --data, all of which is trained on",
            "metavar": "FILE",
        },
    )
    seed: int = attrs.field(
        default=0, validator=ge(0), metadata={"help": "seed of the initial parameters and all random draws"}
    )
    embedding_std: float = attrs.field(
        default=2.0,
        validator=and_(gt(0.0), le(1e6)),
        metadata={"help": "standard deviation of the initial rows of U, if inputs select rows"},
    )
    dtype: Literal["float32", "float64"] = attrs.field(
        default="float32", validator=in_(("float32", "float64")), metadata={"help": "type of parameters and states"}
    )
    chunk: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={
            "help": "steps per chunk; none: enough for 512 rows (steps times batch), or 256 with store checkpoint"
        },
    )
    shards: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "threads that share the batch; none: one for each core that has enough work"},
    )
    kernels: str = attrs.field(
        default="auto",
        metadata={
            "help": "kernels that compute the cells: numpy, compiled, names joined by +, or auto for the fastest"
        },
    )
    precision: Literal["bfloat16"] | None = attrs.field(
        default=None,
        validator=optional(in_(("bfloat16",))),
        metadata={
            "help": "round operands of matrix products to bfloat16, on compiled kernels; none: those of the dtype"
        },
    )
    accumulate: int = attrs.field(
        default=1, validator=ge(1), metadata={"help": "batches whose gradients are added up for one update"}
    )
    on_nonfinite: Literal["stop", "skip"] = attrs.field(
        default="stop",
        validator=in_(("stop", "skip")),
        metadata={"help": "what to do if a loss or gradient is NaN or infinite: stop the run, or skip the batch"},
    )
    evaluate_every: int | None = attrs.field(
        default=None, validator=optional(ge(1)), metadata={"help": "batches between evaluations; none: one epoch"}
    )
    watch_gradients: bool = attrs.field(
        default=False,
        metadata={
            "help": "after each evaluation record the norm of dL/dh over time, the spectral radius of W and saturated "
            "gates, by one more gradient of the last batch"
        },
    )
    patience: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "stop after so many evaluations without a better one; none: train to the last epoch"},
    )
    keep: int = attrs.field(default=2, validator=ge(1), metadata={"help": "checkpoints to keep, beside the best one"})
    save_every: int | None = attrs.field(
        default=None, validator=optional(ge(1)), metadata={"help": "batches between checkpoints; none: one epoch"}
    )
    plugin: tuple[str, ...] = attrs.field(default=(), converter=specs)
    """Plugin files and modules that are used and not installed; `rnnframe --plugin` names them."""
    valid_digest: str | None = None
    """SHA-256 of the file `valid`, which a run writes down; another file is refused."""

    init_number: int | None = None
    """Batches that the weights of `init_from` were trained for, which a run writes down."""
    init_digest: str | None = None
    """SHA-256 of the file of these weights; others are refused."""

    @property
    def groups(self) -> tuple[ParameterGroup, ...]:
        """The groups of parameters that `freeze` and `group` name."""
        frozen = [ParameterGroup(pattern, freeze=True) for pattern in self.freeze]
        return (*frozen, *map(ParameterGroup.parse, self.group))

    def setting(self, task: Task, learnt: Any = None) -> Setting:
        """Return what a task is told; raises `OptionError` for an option that means nothing to it.

        learnt: what a model has learnt that goes on with this data, with the option `init_from`.
        """
        self._check_start(task)
        share = self._held_out(task)
        for name in ("data", "steps", "held_out"):
            value = getattr(self, name)
            if name not in task.takes and value != attrs.fields_dict(TrainingOptions)[name].default:
                flag = "--" + name.replace("_", "-")
                raise OptionError(
                    f"task {task.name!r} takes no {flag} ({value}); leave it out (see `rnnframe show {task.name}`)"
                )
        return Setting(
            data=self.data, batch=self.batch, steps=self.steps, held_out=share, seed=self.seed, learnt=learnt
        )

    def _check_start(self, task: Task) -> None:
        if (
            self.init_from is None
            and self.init_checkpoint != attrs.fields_dict(TrainingOptions)["init_checkpoint"].default
        ):
            raise OptionError(f"--init-checkpoint ({self.init_checkpoint}) is of a run; name it with --init-from RUN")
        if self.init_from is not None and "learnt" not in task.takes:
            raise OptionError(
                f"task {task.name!r} cannot go on with what a run has learnt; leave out --init-from {self.init_from}"
            )

    def _held_out(self, task: Task) -> float:
        """Return the share of the data that is held out: none of it where a file is; raises `OptionError`."""
        if self.valid is None and self.held_out:
            return self.held_out
        flag = "--held-out 0" if self.valid is None else f"--valid {self.valid}"
        if "all" not in task.takes:
            raise OptionError(f"task {task.name!r} validates on a part of its own data; leave out {flag}")
        if self.valid is not None and self.held_out not in (0, attrs.fields_dict(TrainingOptions)["held_out"].default):
            raise OptionError(f"{flag} is what is held out; leave out --held-out ({self.held_out})")
        if self.valid == "-":
            raise OptionError("--valid reads its file again at every evaluation, and standard input once; name a file")
        for name in ("patience", "evaluate_every") if self.valid is None else ():
            value = getattr(self, name)
            if value is not None:
                raise OptionError(
                    f"--{name.replace('_', '-')} ({value}) needs evaluations, and nothing is held out; leave it out, "
                    "or give --valid FILE"
                )
        return 0.0
