"""Reading the model of a run folder or of a weights file."""

from pathlib import Path

from rnnframe.errors import OptionError, RnnframeError, RunError
from rnnframe.runs.checkpoints import Checkpoints
from rnnframe.runs.folder import CHECKPOINTS, WEIGHTS
from rnnframe.runs.model import Model
from rnnframe.storage.tensors import read_tensors, restore

BEST, LAST = "best", "last"
"""How the weights of a run folder are named; a number is that of a checkpoint."""


def load_model(path: str | Path, checkpoint: str = BEST) -> Model:
    """Return the model of a weights file or of a run folder, of which `checkpoint` says what weights are meant.

    Raises `RunError`, `OptionError` for a checkpoint that there is not.
    """
    path = Path(path)
    if not path.is_dir():
        return _model(path, "")
    if checkpoint == BEST:
        return _model(path / WEIGHTS, "")
    checkpoints = Checkpoints(path / CHECKPOINTS)
    if checkpoint == LAST:
        return checkpoints.of_newest(lambda number: _model(checkpoints.path(number), "parameters/"))
    numbers = checkpoints.numbers()
    if checkpoint not in map(str, numbers):
        there = ", ".join(map(str, numbers)) or "none"
        raise OptionError(f"checkpoint={checkpoint} is out of place; expected best, last or a number (there: {there})")
    return _model(checkpoints.path(int(checkpoint)), "parameters/")


def _model(file: Path, group: str) -> Model:
    if not file.exists():
        raise RunError(f"there is no {str(file)!r}; give a run folder made by `rnnframe train --out`")
    tensors, about = read_tensors(file, group)
    try:
        model = Model.described(about["model"])
    except (KeyError, ValueError, TypeError) as error:
        if isinstance(error, RnnframeError):
            raise
        raise RunError(f"{str(file)!r} does not say which network and task it is for; it is no file of a run") from None
    restore(model.network.parameters, tensors, str(file))
    return model
