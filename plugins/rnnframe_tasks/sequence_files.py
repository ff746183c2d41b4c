"""Files of whole sequences: which reader a file needs, by the end of its name."""

from pathlib import Path

from rnnframe.plugin import DataError
from rnnframe_tasks.arff import read_arff
from rnnframe_tasks.json_lines import read_json_lines
from rnnframe_tasks.labelled import Labelled
from rnnframe_tasks.npz_sequences import read_npz_sequences
from rnnframe_tasks.ts import read_ts
from rnnframe_tasks.tsf import read_tsf
from rnnframe_tasks.ucr import read_ucr

PLAIN = {".ts": read_ts, ".arff": read_arff, ".tsv": read_ucr, ".txt": read_ucr}
NAMED = {".tsf": read_tsf, ".jsonl": read_json_lines, ".ndjson": read_json_lines}
ENDINGS = (*PLAIN, *NAMED, ".npz")


def read_sequences(path: str, axes: str | None = None, target: str | None = None) -> Labelled:
    """Return the samples of a file; raises `DataError`.

    Parameters
    ----------
    path : str
        The file.
    axes : str or None
        What the axes of an array in a NPZ file are.
    target : str or None
        The name of the targets, in formats that have names.
    """
    kind = Path(path).suffix.lower()
    if kind not in ENDINGS:
        raise DataError(f"cannot tell what data file {path!r} is; end its name in {', '.join(ENDINGS)}")
    if axes is not None and kind != ".npz":
        raise DataError(f"axes={axes} is for NPZ files; {path!r} says itself what its steps and channels are")
    if target is not None and kind in PLAIN:
        raise DataError(
            f"target={target} names an array, a key or an attribute; a {kind} file has its own place for it"
        )
    if kind == ".npz":
        return read_npz_sequences(path, axes, target)
    return NAMED[kind](path, target) if kind in NAMED else PLAIN[kind](path)
