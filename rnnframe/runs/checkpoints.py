"""The numbered checkpoints of a run: each is one file with all that a training needs to resume, so it is consistent.

The number of a checkpoint is the number of batches trained before it. The last few are kept, and the one with the best
validation. The file of a new checkpoint is complete on the disk before an old one is removed.
"""

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import attrs

from rnnframe.arrays import Array
from rnnframe.errors import RunError
from rnnframe.storage.durable import BESIDE, make_folder, remove, write_whole
from rnnframe.storage.tensors import read_tensors, tensor_bytes

T = TypeVar("T")

_NAME = re.compile(r"(\d{8,15})\.safetensors")


@attrs.frozen(kw_only=True)
class Checkpoint:
    """Named arrays in groups, and plain JSON values.

    Parameters
    ----------
    number
        The number of batches trained before this checkpoint.
    best
        The number of the checkpoint with the best validation so far, possibly this one; None if there was no
        validation.
    groups
        Group (parameters, slots, state) -> name -> array.
    progress
        The position of the training.
    model
        The description of the network, its task and what was learnt.
    """

    number: int = 0
    best: int | None = None
    groups: dict[str, dict[str, Array]]
    progress: dict[str, Any]
    model: dict[str, Any]


@attrs.frozen
class Checkpoints:
    """The checkpoints in a folder.

    Parameters
    ----------
    folder
        The folder of the files; it need not exist.
    """

    folder: Path

    def path(self, number: int) -> Path:
        """Return the file of a checkpoint."""
        return self.folder / f"{number:08d}.safetensors"

    def numbers(self) -> list[int]:
        """Return the numbers of the existing checkpoints, the oldest first."""
        seen = None
        while True:  # a checkpoint that disappeared has a newer one
            named = self._named()
            there = [number for number in named if self.path(number).exists()]
            if there == named or named == seen:
                return there
            seen = named

    def _named(self) -> list[int]:
        if self.folder.is_symlink() or not self.folder.is_dir():
            return []
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def newest(self) -> int:
        """Return the number of the newest checkpoint; raises `RunError` if there is none."""
        numbers = self.numbers()
        if not numbers:
            raise RunError(
                f"there is no checkpoint in {str(self.folder)!r}: the run ended before its first; start again, --force"
            )
        return numbers[-1]

    def of_newest(self, read: Callable[[int], T]) -> T:
        """Return the result of `read` for the newest checkpoint; try again if a training removes it meanwhile."""
        while True:
            number = self.newest()
            try:
                return read(number)
            except RunError:
                if self.path(number).exists() or not self.numbers():
                    raise

    def write(self, checkpoint: Checkpoint, keep: int) -> None:
        """Write a checkpoint, then remove all except the last few and the best.

        Parameters
        ----------
        checkpoint
            What to write.
        keep
            How many checkpoints to keep, in addition to the best one.

        Raises
        ------
        OSError
            If a file cannot be written or removed.
        """
        make_folder(self.folder)
        tensors = {f"{group}/{name}": a for group, arrays in checkpoint.groups.items() for name, a in arrays.items()}
        about = {"progress": checkpoint.progress, "best": checkpoint.best, "model": checkpoint.model}
        write_whole(self.path(checkpoint.number), tensor_bytes(tensors, about))
        old = [number for number in self.numbers() if number <= checkpoint.number]
        for number in set(old[:-keep]) - {checkpoint.best}:
            remove(self.path(number))

    def read(self, number: int) -> Checkpoint:
        """Return a checkpoint; raises `RunError`."""
        path = self.path(number)
        try:
            tensors, about = read_tensors(path)
        except RunError as error:
            before = [older for older in self.numbers() if older < number]
            way_out = f"; remove it to go on from checkpoint {before[-1]}" if before else ""
            raise RunError(f"{error}{way_out}") from None
        groups: dict[str, dict[str, Array]] = {}
        for name, array in tensors.items():
            group, _, rest = name.partition("/")
            groups.setdefault(group, {})[rest] = array
        match about:
            case {"progress": dict(progress), "best": int() | None as best, "model": dict(model)}:
                return Checkpoint(number=number, best=best, groups=groups, progress=progress, model=model)
        raise RunError(f"{str(path)!r} holds no progress; it is not a checkpoint of a run")

    def readable(self) -> Checkpoint:
        """Return the newest one that can be read, for what all of a run agree on; raises `RunError`."""
        for number in reversed(self.numbers()):
            with contextlib.suppress(RunError):
                return self.read(number)
        return self.of_newest(self.read)

    def clear(self) -> None:
        """Remove all checkpoints, and the remains of an interrupted write; raises `OSError`."""
        for number in self.numbers():
            remove(self.path(number))
        self.sweep()

    def sweep(self) -> None:
        """Remove the files that a killed process left behind during a write; raises `OSError`."""
        if self.folder.is_dir() and not self.folder.is_symlink():
            for path in self.folder.glob(f"*.safetensors{BESIDE}"):
                remove(path)
