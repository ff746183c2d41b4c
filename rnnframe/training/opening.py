"""Opens the data of a training, and the file that is held out where one is named."""

from pathlib import Path
from typing import Any

import attrs

from rnnframe.contracts.dataset import Dataset
from rnnframe.contracts.task import Task
from rnnframe.errors import DataError, RunError
from rnnframe.registry.registry import Registry
from rnnframe.storage.durable import file_digest
from rnnframe.training.options import TrainingOptions


def open_data(options: TrainingOptions, task: Task, registry: Registry, learnt: Any = None) -> Dataset:
    """Return the data to train on, with its held-out part where there is one; raises `UsageError` or `RunError`.

    A held-out file is read with what was learnt from the training data, as `rnnframe evaluate --data` would read it.
    learnt: what the model has learnt that the training starts from.
    """
    with registry.blame("task", type(task)):
        opened = task.open(options.setting(task, learnt))
    if options.valid is None:
        return opened
    check_valid_file(options)
    with registry.blame("task", type(task)):
        valid = task.examples(options.valid, opened.learnt, options.batch)
    if valid.unjudged is not None:
        raise DataError(valid.unjudged)
    if all(batch.y is None for batch in valid.batches()):
        raise DataError(f"{valid.name} has no targets to validate by; add them, or name another file with --valid")
    told = (f"held out: {valid.name}", *(f"held-out file: {remark}" for remark in valid.remarks))
    return attrs.evolve(opened, valid=valid, remarks=(*opened.remarks, *told))


def with_valid_file(options: TrainingOptions) -> TrainingOptions:
    """Return options that name the held-out file by its full path and its digest."""
    if options.valid is None:
        return options
    return attrs.evolve(options, valid=str(Path(options.valid).absolute()), valid_digest=_digest(options.valid))


def check_valid_file(options: TrainingOptions) -> None:
    """Raise `RunError` where the held-out file is another one than the run wrote down."""
    if options.valid is not None and options.valid_digest not in (None, _digest(options.valid)):
        raise RunError(
            f"the held-out file {options.valid!r} has changed since the run was made; put the old one back, or start a "
            "new run"
        )


def _digest(path: str) -> str:
    try:
        return file_digest(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot read the held-out file {path!r}: {getattr(error, 'strerror', None) or error}"
        ) from None
