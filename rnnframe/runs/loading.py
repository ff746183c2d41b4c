"""Reading models: from a run folder, from its weights, or from what `Network.save` wrote. Nothing is ever unpickled."""

import math
from pathlib import Path
from typing import Any

import attrs

from rnnframe.arrays import Arrays
from rnnframe.contracts.kernels import AUTO, Kernels
from rnnframe.errors import OptionError, RnnframeError, RunError
from rnnframe.network.network import Network
from rnnframe.registry.files import check_named
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.runs.checkpoints import Checkpoints
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.layout import CHECKPOINTS, CONFIG, WEIGHTS
from rnnframe.runs.model import Model, TaskModel
from rnnframe.storage.tensors import read_tensors, restore_finite

BEST, LAST = "best", "last"
"""How the weights of a run folder are named; a number is that of a checkpoint."""


def load_model(
    path: str | Path, checkpoint: str = BEST, *, kernels: str | Kernels = AUTO, registry: Registry | None = None
) -> Model:
    """Return a trained model.

    Parameters
    ----------
    path
        A run folder, its `weights.safetensors` elsewhere, or a file that `Network.save` wrote.
    checkpoint
        Which weights of a run folder: "best" by validation, "last", or the number of a checkpoint.
    kernels
        What computes the cells, as `Inference` takes it.
    registry
        The plugins; by default those that are installed.

    Returns
    -------
    Model
        Of a run, a `TaskModel`: it reads files and predicts in the units of their data.

    Raises
    ------
    RunError
        For what is not there, damaged, or no model.
    OptionError
        For a checkpoint that there is not.
    UsageError
        Where it needs a plugin that is not there.
    """
    registry = registry or default_registry()
    path = Path(path)
    model = load_run(path, checkpoint, registry) if path.is_dir() else _of_file(path, "", registry)
    return attrs.evolve(model, kernels=kernels)


def load_run(path: str | Path, checkpoint: str = BEST, registry: Registry | None = None) -> TaskModel:
    """Return the model of a run folder; raises what `load_model` raises."""
    registry = registry or default_registry()
    folder = RunFolder.open(path)
    check_named(folder.plugins(), registry.records, f"run {str(path)!r}")
    batch = folder.config().get("batch", attrs.fields(TaskModel).batch.default)
    if type(batch) is not int or batch < 1:
        raise RunError(f"{str(folder.path / CONFIG)!r} gives batch = {batch!r}; expected a number of at least 1")
    return attrs.evolve(_of_run(folder.path, checkpoint, registry), batch=batch)


def weights_file(path: str | Path, checkpoint: str = BEST) -> tuple[Path, int]:
    """Return the file that `load_model` takes weights from, and how many batches they were trained for.

    Raises `RunError` or `OptionError`, as `load_model` does.
    """
    path = Path(path)
    if path.is_dir() and checkpoint != BEST:
        checkpoints = Checkpoints(path / CHECKPOINTS)
        number = checkpoints.newest() if checkpoint == LAST else _numbered(checkpoints, checkpoint)
        return checkpoints.path(number), number
    file = path / WEIGHTS if path.is_dir() else path
    number = read_tensors(file, prefix="none of them")[1].get("number", 0)
    return file, number if isinstance(number, int) else 0


def _of_run(path: Path, checkpoint: str, registry: Registry) -> TaskModel:
    if checkpoint == BEST:
        return _task_model(path / WEIGHTS, "", registry)
    checkpoints = Checkpoints(path / CHECKPOINTS)
    if checkpoint == LAST:
        return checkpoints.of_newest(lambda number: _task_model(checkpoints.path(number), "parameters/", registry))
    return _task_model(checkpoints.path(_numbered(checkpoints, checkpoint)), "parameters/", registry)


def _numbered(checkpoints: Checkpoints, checkpoint: str) -> int:
    """Return the number that a text is; raises `OptionError` where there is no such checkpoint."""
    numbers = checkpoints.numbers()
    if checkpoint not in map(str, numbers):
        there = ", ".join(map(str, numbers)) or "none"
        raise OptionError(f"checkpoint={checkpoint} is invalid; expected best, last or a number (there: {there})")
    return int(checkpoint)


def _task_model(file: Path, group: str, registry: Registry) -> TaskModel:
    model = _of_file(file, group, registry)
    if not isinstance(model, TaskModel):
        raise _no_model(file)
    return model


def _of_file(file: Path, group: str, registry: Registry) -> Model:
    if not file.exists():
        raise RunError(
            f"there is no {str(file)!r}; give a run folder made by `rnnframe train --out`, or a file of Network.save"
        )
    tensors, about = read_tensors(file, group)
    try:
        _check_size(about, tensors, file, registry)
        model = _described(about, registry)
    except (KeyError, ValueError, TypeError) as error:
        if isinstance(error, RnnframeError):
            raise
        raise _no_model(file) from None
    _fill(model.network, tensors, file)
    return model


def _described(about: dict[str, Any], registry: Registry) -> Model:
    if "model" in about:
        return TaskModel.described(about["model"], registry)
    return Model(network=Network(**about["network"], registry=registry))


def _check_size(about: dict[str, Any], tensors: Arrays, file: Path, registry: Registry) -> None:
    """Raise `RunError` where a network is larger than the arrays of its file, before memory is taken for it."""
    specs = about["model"]["network"] if "model" in about else about["network"]
    there, width, wanted = sum(array.size for array in tensors.values()), int(specs["inputs"]), 0
    for spec in specs["cells"]:
        layer = registry.cell(spec)
        wanted += sum(math.prod(shape) for shape in layer.parameters(width).values())
        width = layer.width(width)
    if wanted > 4 * there + 1_000_000:  # a smaller difference is told by the names and shapes of the arrays
        raise RunError(f"{str(file)!r} describes a network of {wanted:,} parameters and holds {there:,}; it is damaged")


def _fill(network: Network, tensors: Arrays, file: Path) -> None:
    restore_finite(network.parameters, tensors, str(file))
    network.derive()


def _no_model(file: Path) -> RunError:
    return RunError(f"{str(file)!r} does not say which network and task it is for; it is not a file of a run")
