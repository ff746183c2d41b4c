"""A training that starts from a run: with its weights and what it has learnt, on other data.

The optimizer, the rates and all counts start from the beginning. A training that is resumed takes what was learnt from
its own checkpoint, so that nothing depends on the first run any more.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import attrs

from rnnframe.arrays import Arrays
from rnnframe.contracts.task import Task
from rnnframe.errors import OptionError, RunError
from rnnframe.network.network import Network
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.registry.specs import build, render
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.layout import CONFIG
from rnnframe.runs.loading import BEST, load_model, weights_file
from rnnframe.runs.model import TaskModel
from rnnframe.storage.durable import file_digest
from rnnframe.training.options import TrainingOptions


def options_from(run: str | Path, *, registry: Registry | None = None, **options: Any) -> TrainingOptions:
    """Return the options of a training that starts from a run: its task and its network, unless others are given.

    Parameters
    ----------
    run
        A run folder, or its `weights.safetensors` elsewhere.
    registry
        The plugins; by default those that are installed.
    options
        Of `TrainingOptions`, such as data="new.csv", epochs=3 or init_checkpoint="last".

    Raises
    ------
    RunError
        For what is no run.
    OptionError
        For options that are wrong.
    """
    values = with_network_of({"init_from": str(run), **options}, registry)
    return build(TrainingOptions, values, "training", "options_from")


def with_network_of(values: Mapping[str, Any], registry: Registry | None = None) -> dict[str, Any]:
    """Return options with task, cells, dtype and precision of the run that they start from, where they name none."""
    if values.get("init_from") is None:
        return dict(values)
    model = _model_of(str(values["init_from"]), str(values.get("init_checkpoint", BEST)), registry)
    network = model.network.specs()
    usual = {"task": render(model.task), "cell": network["cells"], "dtype": network["dtype"]}
    usual |= {"precision": network["precision"]} if "precision" in network else {}
    if not str(values.get("layers", 1)).isdecimal():  # then it names all layers
        usual.pop("cell")
    return {**usual, **values}


@attrs.frozen(kw_only=True, eq=False)
class Start:
    """What a training takes from the run that it starts from.

    Parameters
    ----------
    options : TrainingOptions
        The options, which name the run by its full path, with the number and the digest of its weights.
    learnt : object
        What was learnt from the old data: a `Task.learns`.
    model : TaskModel or None
        The model; None for a training that is resumed, whose own checkpoint has the parameters.
    """

    options: TrainingOptions
    learnt: Any
    model: TaskModel | None = None

    @classmethod
    def read(cls, options: TrainingOptions, task: Task, registry: Registry) -> Self:
        """Read the run that options name; raises `RunError`, and `OptionError` for another task."""
        run, checkpoint = str(options.init_from), options.init_checkpoint
        model = _model_of(run, checkpoint, registry)
        if model.task.name != task.name:
            raise OptionError(
                f"--init-from {run} is a model of task {model.task.name!r}, and --task says {task.name!r}; "
                "leave out --task"
            )
        file, number = weights_file(run, checkpoint)
        digest = file_digest(file)
        if options.init_digest not in (None, digest):
            raise OptionError(
                f"the weights of {run!r} have changed since the configuration was written; give --init-from again"
            )
        settled = attrs.evolve(options, init_from=str(Path(run).absolute()), init_number=number, init_digest=digest)
        return cls(options=settled, learnt=model.learnt, model=model)

    @classmethod
    def resumed(cls, options: TrainingOptions, task: Task, learnt: Mapping[str, Any]) -> Self:
        """Return what a training that is resumed has of its start: what its checkpoint says was learnt."""
        try:
            return cls(options=options, learnt=task.learns(**learnt))
        except (TypeError, ValueError) as error:
            raise RunError(f"the checkpoint does not say what task {task.name!r} has learnt: {error}") from None

    def begin(self, network: Network) -> None:
        """Overwrite the parameters of a new network by those of the run; raises `OptionError` where they do not fit."""
        if self.model is None:
            return
        _check_network(self.model.network, network, str(self.options.init_from))
        network.parameters.copy_from(self.model.network.parameters)
        network.derive()

    def remarks(self, task: Task) -> tuple[str, ...]:
        """Return what a person should know of another task than that of the run: sentences without a full stop."""
        ours, theirs = render(task), None if self.model is None else render(self.model.task)
        return () if theirs in (ours, None) else (f"the task is {ours}, and the run was trained for {theirs}",)


def start_of(run: RunFolder) -> TrainingOptions | None:
    """Return the options of a run that say what it started from; None where it started from scratch."""
    config = run.config()
    named = {name: config[name] for name in config if name.startswith("init_")}
    return build(TrainingOptions, named, "configuration", str(run.path / CONFIG)) if "init_from" in named else None


def start_record(options: TrainingOptions) -> dict[str, Any]:
    """Return where a training has started from, as JSON values."""
    return {
        "run": options.init_from,
        "checkpoint": options.init_checkpoint,
        "batches": options.init_number,
        "sha256": options.init_digest,
    }


def told_start(options: TrainingOptions) -> str:
    """Return which weights a training has started from, in words."""
    named = options.init_checkpoint if options.init_checkpoint.isalpha() else "checkpointed"
    batches = "" if options.init_number is None else f", after {options.init_number:,} batches"
    digest = "" if options.init_digest is None else f" (SHA-256 {options.init_digest[:12]})"
    return f"the {named} weights of {options.init_from}{batches}{digest}"


def _model_of(run: str, checkpoint: str, registry: Registry | None) -> TaskModel:
    model = load_model(run, checkpoint, registry=registry or default_registry())
    if not isinstance(model, TaskModel):
        raise RunError(f"{run!r} is a network without a task; name a run folder with --init-from")
    return model


def _check_network(theirs: Network, ours: Network, run: str) -> None:
    """Raise `OptionError` where two networks have other layers or parameters, and name both."""
    one, other = theirs.specs(), ours.specs()
    flags = {"cells": "--cell and --layers", "dtype": "--dtype"}
    for what, flag in flags.items():
        if one[what] != other[what]:
            said, asked = (" ".join(each[what]) if what == "cells" else each[what] for each in (one, other))
            raise OptionError(f"--init-from {run} is a network of {said}, and {asked} is asked for; leave out {flag}")
    if _shapes(theirs.parameters) != _shapes(ours.parameters):
        said, asked = (f"{each['inputs']} inputs and {each['head']}" for each in (one, other))
        raise OptionError(
            f"--init-from {run} is a network with {said}, and data and task ask for {asked}; give data and options of "
            "the task that fit the run"
        )


def _shapes(parameters: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in parameters.items()}
