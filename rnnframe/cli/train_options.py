"""The options of `rnnframe train`: those of the training, and those of what is done around it; from a file, too."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs.validators import ge, optional

from rnnframe.errors import OptionError, UsageError, unknown_name
from rnnframe.registry.specs import build, field_types
from rnnframe.storage.toml import read_toml
from rnnframe.training.options import TrainingOptions, specs
from rnnframe.training.starting import with_network_of

LATER = ("epochs", "patience")
"""What may change when a run goes on."""


@attrs.frozen(kw_only=True)
class AroundOptions:
    """What is done around a training: no bit of its result depends on it, and a run folder does not write it down."""

    out: str | None = attrs.field(
        default=None,
        metadata={"help": "new folder for options, metrics, weights and checkpoints; by default one under runs/"},
    )
    no_out: bool = attrs.field(default=False, metadata={"help": "write nothing: no run folder, no model"})
    force: bool = attrs.field(default=False, metadata={"help": "replace the run in an existing folder"})
    reducer: str | None = attrs.field(
        default=None,
        metadata={"help": "train with all processes that mpiexec, srun (mpi) or torchrun (gloo) has started"},
    )
    stop_after: int | None = attrs.field(
        default=None, validator=optional(ge(1)), metadata={"help": "stop after so many batches, and save"}
    )
    sample: int = attrs.field(
        default=300,
        validator=ge(0),
        metadata={"help": "characters to print at the end, where the network writes text"},
    )
    observer: tuple[str, ...] = attrs.field(
        default=(),
        converter=specs,
        metadata={"help": "observer that receives the events of the training; may be repeated"},
    )
    tensorboard: bool = attrs.field(
        default=False, metadata={"help": "write metrics for TensorBoard into RUN; short for --observer tensorboard"}
    )
    json: bool = attrs.field(default=False, metadata={"help": "print one JSON object at the end"})
    quiet: bool = attrs.field(default=False, metadata={"help": "show no progress"})

    def observers(self, known: Collection[str]) -> tuple[str, ...]:
        """Return the specs of all observers, of which `known` are there: progress is left out where it is disabled."""
        shown = ("progress",) if not self.quiet and "progress" in known else ()
        return (*shown, *self.observer, *(("tensorboard",) if self.tensorboard else ()))


def resolve(config: str | None, asked: Mapping[str, Any]) -> tuple[TrainingOptions, AroundOptions]:
    """Return the options of a file under those of the command line; each is checked where it comes from."""
    typed = {name: _flag(name) for name in asked}
    if config is None:
        return _both(with_network_of(asked), "command", "train", typed)
    file, keys = {}, {}
    for name, value in read_toml(Path(config)).items():
        option = name.replace("-", "_")
        if option in file:
            raise OptionError(f"configuration {config!r} gives {option!r} twice, also as {name!r}; leave one out")
        file[option], keys[option] = value, f"{name} = "
    if "valid" in asked:
        file.pop("valid_digest", None)  # it is that of the file's own
    if "init_from" in asked or "init_checkpoint" in asked:
        file = {name: value for name, value in file.items() if name not in ("init_number", "init_digest")}
    _both(file, "configuration", config, keys)
    for name, other in (("out", "no_out"), ("no_out", "out")):
        if name in asked:
            file.pop(other, None)  # what the command line says comes first
    return _both(with_network_of({**file, **asked}), "command", "train", typed)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-") + " "


def resolve_resumed(
    written: Mapping[str, Any], where: str, asked: Mapping[str, Any]
) -> tuple[TrainingOptions, AroundOptions]:
    """Return the options that a run wrote down, with what may change when it goes on."""
    around = field_types(AroundOptions)
    wrong = [name for name in asked if name in ("out", "no_out", "force") or (name not in LATER and name not in around)]
    if wrong:
        flags = ", ".join(_flag(name).strip() for name in sorted(wrong))
        later = " and ".join("--" + name for name in LATER)
        raise UsageError(f"--resume takes its options from {where!r}; leave out {flags} (only {later} may change)")
    build(TrainingOptions, written, "configuration", where)
    return _both({**written, **asked}, "command", "train", {name: _flag(name) for name in asked})


def _both(
    values: Mapping[str, Any], kind: str, name: str, spelt: Mapping[str, str]
) -> tuple[TrainingOptions, AroundOptions]:
    classes: tuple[type[TrainingOptions], type[AroundOptions]] = TrainingOptions, AroundOptions
    known = [field_types(cls) for cls in classes]
    for key in values:
        if key not in known[0] | known[1]:
            raise unknown_name(f"option of {kind} {name!r}:", key, known[0] | known[1])
    training, around = ({key: value for key, value in values.items() if key in names} for names in known)
    return build(TrainingOptions, training, kind, name, spelt), build(AroundOptions, around, kind, name, spelt)
