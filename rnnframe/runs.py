"""A run folder: the configuration, the metrics, the weights, and a checkpoint to go on from.

    config.toml              the options that reproduce the run
    metrics.jsonl            one JSON object a line, for every batch and every epoch
    weights.safetensors      the parameters, with the network's specs and the vocabulary in its metadata
    checkpoint.safetensors   parameters, optimizer slots, carried state and progress: all that resuming needs

Every file is written beside its place, flushed to the disk and renamed, so that there is a whole one at any time.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.characters import Vocabulary
from rnnframe.errors import RnnframeError, RunError
from rnnframe.network import Network

CONFIG, METRICS, WEIGHTS, CHECKPOINT = "config.toml", "metrics.jsonl", "weights.safetensors", "checkpoint.safetensors"
FILES = (CONFIG, METRICS, WEIGHTS, CHECKPOINT)


@attrs.frozen
class Checkpoint:
    """Named arrays in groups (parameters, slots, state), and progress as plain JSON values."""

    groups: dict[str, dict[str, Array]]
    progress: dict[str, Any]


@attrs.frozen
class RunFolder:
    """A run folder that exists."""

    path: Path

    @classmethod
    def create(cls, path: str | Path, config: Mapping[str, Any], *, force: bool) -> "RunFolder":
        """Make a new run folder; `force` replaces the run in an existing one, and only that."""
        folder = Path(path)
        check_free(folder, force=force)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in FILES:
                (folder / name).unlink(missing_ok=True)
            run = cls(folder)
            run._write(METRICS, b"")
            run.write_config(config)
        except OSError as error:
            raise RunError(f"cannot write run folder {str(folder)!r}: {error.strerror or error}") from None
        return run

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        """Return an existing run folder."""
        folder = Path(path)
        if not folder.is_dir():
            raise RunError(f"there is no run folder {str(folder)!r}; make one with `rnnframe train --out`")
        if not (folder / CONFIG).is_file():
            raise RunError(f"{str(folder)!r} is no run folder: it has no {CONFIG}")
        return cls(folder)

    def config(self) -> dict[str, Any]:
        """Return the options of the run."""
        return read_toml(self.path / CONFIG)

    def plugins(self) -> tuple[str, ...]:
        """Return the plugin files and modules that the run needs and that are not installed."""
        named = self.config().get("plugin", [])
        return tuple(map(str, named if isinstance(named, list) else [named]))

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the options of the run."""
        self._write(CONFIG, to_toml(config).encode())

    def save(self, checkpoint: Checkpoint, network: Network, vocabulary: Vocabulary) -> None:
        """Write checkpoint and weights."""
        tensors = {f"{group}/{name}": a for group, arrays in checkpoint.groups.items() for name, a in arrays.items()}
        self._write_tensors(CHECKPOINT, tensors, {"progress": json.dumps(checkpoint.progress)})
        about = {"network": network.specs(), "vocabulary": vocabulary.characters}
        self._write_tensors(WEIGHTS, network.parameters, {"rnnframe": json.dumps(about)})

    def load(self) -> Checkpoint:
        """Return the checkpoint."""
        tensors, about = read_tensors(self.path / CHECKPOINT)
        groups: dict[str, dict[str, Array]] = {}
        for name, array in tensors.items():
            group, _, rest = name.partition("/")
            groups.setdefault(group, {})[rest] = array
        try:
            progress = json.loads(about["progress"])
            if not isinstance(progress, dict):
                raise ValueError(progress)
        except (KeyError, ValueError, RecursionError):
            raise RunError(f"{str(self.path / CHECKPOINT)!r} holds no progress; it is no checkpoint of a run") from None
        return Checkpoint(groups, progress)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line to the metrics."""
        try:
            with open(self.path / METRICS, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise RunError(f"cannot write {str(self.path / METRICS)!r}: {error.strerror or error}") from None

    @property
    def metrics_size(self) -> int:
        """Bytes of the metrics so far."""
        return (self.path / METRICS).stat().st_size

    def cut_metrics(self, size: int) -> None:
        """Drop the lines that were written after a checkpoint which knew `size` bytes."""
        try:
            if self.metrics_size < size:
                raise RunError(
                    f"{str(self.path / METRICS)!r} is shorter than at the last checkpoint, {size} bytes; put it back"
                )
            os.truncate(self.path / METRICS, size)
        except OSError as error:
            raise RunError(f"cannot write {str(self.path / METRICS)!r}: {error.strerror or error}") from None

    def _write_tensors(self, name: str, tensors: Arrays, about: dict[str, str]) -> None:
        from safetensors.numpy import save

        # safetensors writes the memory as it lies, so every array must lie in C order; one entry of metadata, since
        # it writes several in no fixed order, and equal runs are to make equal files
        data = save({key: np.ascontiguousarray(array) for key, array in tensors.items()}, about)
        try:
            self._write(name, data)
        except OSError as error:
            raise RunError(f"cannot write {str(self.path / name)!r}: {error.strerror or error}") from None

    def _write(self, name: str, data: bytes) -> None:
        """Write beside, flush to the disk, rename."""
        beside = self.path / (name + ".new")
        try:
            with open(beside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self.path / name)
        except OSError:
            beside.unlink(missing_ok=True)
            raise


def check_free(folder: Path, *, force: bool) -> None:
    """Raise `RunError` unless a run may be written into `folder`."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{str(folder)!r} is a file; give another folder to --out")
    if (folder / CONFIG).exists() and (folder / METRICS).exists():
        if not force:
            raise RunError(f"{str(folder)!r} already holds a run; resume it with --resume, or replace it with --force")
    elif any(folder.iterdir()):
        raise RunError(f"{str(folder)!r} is not empty and holds no run; give another folder to --out")


def load_model(path: Path) -> tuple[Network, Vocabulary]:
    """Return the network and the vocabulary of a weights file or of the run folder that holds one."""
    file = path / WEIGHTS if path.is_dir() else path
    if not file.exists():
        raise RunError(f"there is no {str(file)!r}; give a run folder made by `rnnframe train --out`")
    tensors, about = read_tensors(file)
    try:
        made_of = json.loads(about["rnnframe"])
        network, vocabulary = Network(**made_of["network"]), Vocabulary(made_of["vocabulary"])
    except (KeyError, ValueError, TypeError) as error:
        if isinstance(error, RnnframeError):
            raise
        raise RunError(
            f"{str(file)!r} does not say which network and characters it is for; it is no file of a run"
        ) from None
    restore(network.parameters, tensors, str(file))
    return network, vocabulary


def restore(target: Arrays, given: Arrays, where: str) -> None:
    """Copy arrays into others of the same names, shapes and types; raises `RunError` where they differ."""
    if set(target) != set(given):
        raise RunError(f"{where} holds the arrays {sorted(given)}; expected {sorted(target)}")
    for name, view in target.items():
        value = given[name]
        if value.shape != view.shape or value.dtype != view.dtype:
            raise RunError(
                f"{where}: {name} is {value.dtype} {list(value.shape)}; expected {view.dtype} {list(view.shape)}"
            )
        view[...] = value


def read_tensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and the metadata of a safetensors file; raises `RunError`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118  # no mapping
    except OSError as error:
        raise RunError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{str(path)!r} is damaged or no safetensors file: {error}") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Return a flat TOML file of options; raises `RunError`."""
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RunError(f"{str(path)!r} is no TOML: {error}") from None


def to_toml(values: Mapping[str, Any]) -> str:
    """Write flat options (texts, numbers, booleans and lists of texts) as TOML; None becomes "none"."""
    lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if value is None:
        return '"none"'  # TOML has no word for it; left out, the default would come back
    if isinstance(value, float):
        return repr(value)  # JSON has no word for infinity, TOML has Python's
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
