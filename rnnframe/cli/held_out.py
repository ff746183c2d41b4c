"""The held-out part of a run's data, for the commands that take it where no file is named."""

from pathlib import Path

from rnnframe.contracts.dataset import Examples
from rnnframe.errors import RunError
from rnnframe.registry.specs import build
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.model import TaskModel
from rnnframe.training.options import TrainingOptions


def options_of(run: str) -> TrainingOptions:
    """Return the options that a run was trained with; raises `RunError` or `UsageError` for a damaged folder."""
    return build(TrainingOptions, RunFolder.open(run).config(), "configuration", str(Path(run) / "config.toml"))


def held_out(run: str, model: TaskModel) -> Examples:
    """Return the held-out part; raises `RunError` where the data has changed since the training."""
    dataset = model.task.open(options_of(run).setting(model.task))
    if dataset.digest != RunFolder.open(run).data():
        name = dataset.valid.name
        raise RunError(f"{name} has changed since the run was made; evaluate all of a file with --data FILE")
    return dataset.valid
