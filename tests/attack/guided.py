"""Run as a program: hand damaged texts and files to what reads them, guided by the lines that each one reaches.

    python guided.py READER SEED COUNT SECONDS FOLDER

With atheris (`pip install atheris`) inputs that reach new lines are kept in FOLDER and changed further; without it,
the kept seeds are changed at random. Ends after COUNT inputs or so many seconds, and prints how many were tried.
"""

import json
import os
import random
import sys
import time
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # tests/, as in pytest

try:
    import atheris
except ImportError:
    atheris = None

PIECES = (b"", b"\0", b",", b":", b"=", b"(", b")", b'"', b"\n", b"[[", b"{", b"}", b"9" * 400, b"-1", b"nan", b"1e999")
PIECES += (b"none", b"lstm", b"\xff\xfe", "\u0663".encode(), b"@data\n", b"true", b"null", b"hidden=", b"path=/nowhere")
LONGEST = 20_000


def changed(given: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Return an input with one to four changes."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randint(0, len(given))
        end = min(len(given), start + rng.choice((0, 1, 1, 4, 40)))
        other = rng.choice(others)
        cut = rng.randint(0, len(other))
        piece = rng.choice((rng.choice(PIECES), rng.randbytes(rng.randint(0, 6)), other[cut : cut + 30]))
        given = given[:start] + piece * rng.choice((1, 1, 1, 3, 200)) + given[end:]
    return given[:LONGEST]


class Attack:
    """Counts what is tried, and ends the program when that is enough."""

    def __init__(self, reader: str, count: int, seconds: float, folder: Path) -> None:
        self.reader, self.count, self.folder = reader, count, folder
        self.ends, self.tried, self.failed = time.monotonic() + seconds, 0, list[str]()
        self.place = folder / "place"
        self.place.mkdir(parents=True, exist_ok=True)
        os.chdir(self.place)

    def __call__(self, given: bytes) -> None:
        if self.tried >= self.count or time.monotonic() > self.ends:
            print(json.dumps({"tried": self.tried, "failed": self.failed[:20]}), flush=True)
            os._exit(0)
        self.tried += 1
        fault = attempt(self.reader, given, self.place)
        if fault and len(self.failed) < 20:
            self.failed.append(fault)
            (self.folder / f"failing{self.tried}").write_bytes(given)


def main(reader: str, seed: int, count: int, seconds: float, folder: Path) -> None:
    warnings.simplefilter("ignore")
    folder = folder.resolve()
    attack = Attack(reader, count, seconds, folder)
    begin = seeds(reader)
    if atheris is None:
        rng = random.Random(seed)
        for given in begin:
            attack(given)
        while True:
            attack(changed(rng.choice(begin), rng, begin))
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, given in enumerate(begin):
        (corpus / f"seed{number}").write_bytes(given)
    # 500 million runs: `Attack` ends the program before
    options = [f"-seed={seed + 1}", f"-max_len={LONGEST}", "-runs=500000000", "-rss_limit_mb=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], attack)
    atheris.Fuzz()


if __name__ == "__main__":
    if atheris is None:
        from attack.readers import attempt, seeds
    else:
        with atheris.instrument_imports(include=["rnnframe", "rnnframe_tasks", "rnnframe_onnx", "json", "tomllib"]):
            from attack.readers import attempt, seeds
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
