"""What a run was validated on, for the commands that take it where no file is named."""

from pathlib import Path

from rnnframe.contracts.dataset import Examples
from rnnframe.errors import RunError
from rnnframe.registry.specs import build
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.model import TaskModel
from rnnframe.training.opening import check_valid_file
from rnnframe.training.options import TrainingOptions


def options_of(run: str) -> TrainingOptions:
    """Return the options that a run was trained with; raises `RunError` or `UsageError` for a damaged folder."""
    return build(TrainingOptions, RunFolder.open(run).config(), "configuration", str(Path(run) / "config.toml"))


def held_out(run: str, model: TaskModel) -> Examples:
    """Return the held-out part or file; raises `RunError` where there is none, and where the data has changed."""
    options = options_of(run)
    if options.valid is not None:
        check_valid_file(options)
        return model.examples(options.valid, options.batch)
    valid = None
    if options.held_out:
        learnt = None if options.init_from is None else model.learnt
        dataset = model.task.open(options.setting(model.task, learnt))
        valid = dataset.valid
        if valid is not None and dataset.digest != RunFolder.open(run).data():
            raise RunError(f"{valid.name} has changed since the run was made; evaluate all of a file with --data FILE")
    if valid is None:
        raise RunError(f"run {run!r} was trained on all of its data, nothing is held out; name a file with --data FILE")
    return valid


def held_out_name(run: str) -> str:
    """Return what a picture calls the part that a run was validated on."""
    options = options_of(run)
    if options.valid is not None:
        return f"held-out file {Path(options.valid).name}"
    return f"held-out part of {Path(options.data or '').name}"
