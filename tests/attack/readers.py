"""What reads texts and files of others, each as a function of any bytes: it ends soon, normally or with one line."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
from fuzz.guard import guarded

from rnnframe.contracts.task import Setting
from rnnframe.errors import RnnframeError
from rnnframe.network.network import Network
from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import build
from rnnframe.runs.loading import load_model
from rnnframe.runs.metrics import Over, read_metrics
from rnnframe.storage.tensors import read_tensors, tensor_bytes
from rnnframe.storage.toml import read_toml
from rnnframe.training.options import TrainingOptions
from rnnframe.training.progress import Progress
from rnnframe_onnx import from_onnx, to_onnx
from rnnframe_tasks.sequence_files import read_sequences

ONE_LINE = 1500
"""Characters of a message; one that lists all known names is long."""
SECONDS = 10
"""What hangs, is a fault; reading so little takes milliseconds."""
KINDS = ("cell", "store", "optimizer", "medium", "head", "learning_rate", "task", "observer", "kernels", "reducer")
TABLE = "date,shop,price,note\n" + "".join(
    f"2020-01-{1 + n % 28:02},{'ab'[n // 28]},{n * n % 7}.25,x\n" for n in range(56)
)


def spec(given: bytes, folder: Path) -> None:
    """Make a plugin's object of a text; the first byte says of which kind."""
    kind = KINDS[given[0] % len(KINDS)] if given else KINDS[0]
    getattr(default_registry(), kind)(given[1:].decode(errors="replace"))


def toml(given: bytes, folder: Path) -> None:
    """Read the options of a training."""
    path = _file(folder, "options.toml", given)
    build(TrainingOptions, read_toml(path), "configuration", str(path))


def ts(given: bytes, folder: Path) -> None:
    """Read labelled sequences."""
    read_sequences(str(_file(folder, "samples.ts", given)))


def table(given: bytes, folder: Path) -> None:
    """Open a table with any options."""
    path = folder / "table.csv"
    if not path.exists():
        path.write_text(TABLE)
    task = default_registry().task("forecast:" + given.decode(errors="replace"))
    task.open(Setting(data=str(path), steps=8, batch=2))


def metadata(given: bytes, folder: Path) -> None:
    """Read a model whose file says of itself what is given, with right checksums, and a progress."""
    try:
        about = json.loads(given)
        if not isinstance(about, dict) or len(given) > 20_000:
            return
        network = Network(["elman:hidden=2"], "softmax:classes=3", 3)
        file = tensor_bytes(dict(network.parameters), about)
    except (ValueError, RecursionError, TypeError):
        return
    path = _file(folder, "weights.safetensors", file)
    Progress.read(about["progress"] if isinstance(about.get("progress"), dict) else {}, str(path))
    load_model(path)


def tensors(given: bytes, folder: Path) -> None:
    """Read a file of arrays."""
    read_tensors(_file(folder, "weights.safetensors", given))


def metrics(given: bytes, folder: Path) -> None:
    """Read the metrics of a run."""
    path = _file(folder, "metrics.jsonl", given)
    for over in get_args(Over):
        read_metrics(path, over)


def onnx(given: bytes, folder: Path) -> None:
    """Make a network of an ONNX model; without onnx, that is told in one line."""
    from_onnx(_file(folder, "model.onnx", given))


def state_dict(given: bytes, folder: Path) -> None:
    """Make a network of a file of arrays by the names of PyTorch; none of it may be out of the finite numbers."""
    network = Network.from_state_dict(_file(folder, "model.safetensors", given), "softmax")
    assert np.isfinite(network.parameters.flat).all()


READERS: dict[str, Callable[[bytes, Path], None]] = {
    each.__name__: each for each in (spec, toml, ts, table, metadata, tensors, metrics, onnx, state_dict)
}


def seeds(reader: str) -> list[bytes]:
    """Return inputs to begin with: the kept ones, and those that are made here."""
    kept = Path(__file__).parent / "seeds" / reader
    found = [path.read_bytes() for path in sorted(kept.glob("*"))] if kept.is_dir() else []
    if reader in ("metadata", "tensors"):
        network = Network(["elman:hidden=2"], "softmax:classes=3", 3)
        about: dict[str, Any] = {"model": {"network": network.specs()}, "progress": {"epoch": 1}, "number": 3}
        found.append(
            json.dumps(about).encode() if reader == "metadata" else tensor_bytes(dict(network.parameters), about)
        )
    if reader == "state_dict":
        for cells in (["lstm:hidden=2,projection=1"], ["gru:hidden=2"] * 2, ["bidirectional(elman:hidden=2)"]):
            found.append(tensor_bytes(Network(cells, "softmax:classes=3,at=last", 3).to_state_dict(), {}))
    if reader == "onnx" and find_spec("onnx") is not None:
        for cells in (["lstm:hidden=2", "gru:hidden=2"], ["bidirectional(elman:hidden=2)"]):
            found.append(to_onnx(Network(cells, "softmax:classes=3,at=last", 3)).SerializeToString())
    return found


def attempt(reader: str, given: bytes, folder: Path) -> str | None:
    """Read something; return what is wrong with how that went, None where nothing is."""
    try:
        with guarded(folder) as touched, _in_time(), np.errstate(all="ignore"):
            READERS[reader](given, folder)
    except RnnframeError as error:
        said = str(error)
        if "\n" in said or len(said) > ONE_LINE + 4 * len(given) or not said.strip():  # it quotes what was given
            return f"{reader} of {given[:300]!r}: a message of {len(said)} characters: {said[:300]!r}"
    except BaseException as error:
        return f"{reader} of {given[:300]!r}: {error!r:.300}"
    return f"{reader} of {given[:300]!r}: {touched[:3]}" if touched else None


@contextmanager
def _in_time() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"still at work after {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path
