"""Ways to damage a run folder, a configuration or a data file, each drawn from a generator of random numbers."""

import json
import os
import pickle
import shutil
import struct
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnnframe.storage.toml import to_toml

Rng = np.random.Generator
Damage = Callable[[Path, Path, Rng], str]
"""Is given a file, a folder outside, and random numbers; says what it did."""


class Boobytrap:
    """Whoever unpickles it, makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trapped",)


VALUES: list[Any] = [
    *(0, -1, 1, 7, 10**7, 2**31, 2**63 - 1, 2**63, 10**30, 0.5, -0.5, 1e308, float("nan"), float("inf"), True, False),
    *(
        "",
        "none",
        "x",
        "\0",
        "7",
        "-1",
        "nan",
        "a" * 5000,
        "../../x",
        "/dev/zero",
        "ünï",
        "[",
        "{",
        "a=b",
        ":",
        "x:y=z",
    ),
    *("lstm", "lstm:hidden=-3", "gru:hidden=x", "elman:hidden=99999999999", "elman:hidden", "elman:hidden=4,hidden=4"),
    *(
        "checkpoint:medium=disk:path=/nowhere",
        "checkpoint:slots=0",
        "circular-queue:k1=0",
        "sgd:lr=nan",
        "cosine:floor=9",
    ),
    *([], [1], [""], ["x"], ["lstm", 3], [[]], ["elman:hidden=2"] * 3, {}, {"a": 1}, {"name": "lstm"}, None),
]


def anything(rng: Rng) -> Any:
    return VALUES[rng.integers(len(VALUES))]


def cut(path: Path, outside: Path, rng: Rng) -> str:
    size = path.stat().st_size
    os.truncate(path, int(rng.integers(size + 1)))
    return "cut off"


def flip(path: Path, outside: Path, rng: Rng) -> str:
    data = bytearray(path.read_bytes())
    for place in rng.integers(max(1, len(data)), size=int(rng.integers(1, 9))):
        if data:
            data[place] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    return "bits flipped"


def flip_head(path: Path, outside: Path, rng: Rng) -> str:
    data = bytearray(path.read_bytes())
    for place in rng.integers(max(1, min(200, len(data))), size=int(rng.integers(1, 4))):
        if data:
            data[place] = int(rng.integers(256))
    path.write_bytes(data)
    return "bytes at the head changed"


def scribble(path: Path, outside: Path, rng: Rng) -> str:
    data = bytearray(path.read_bytes())
    start = int(rng.integers(len(data) + 1))
    piece = [b"\0" * 20, b"\xff\xfe\x80", rng.bytes(30), b'"\n[[a]]\n', b"\x1b[31m\r\n", b"9" * 5000, b"[" * 3000]
    data[start:start] = piece[rng.integers(len(piece))]
    path.write_bytes(data)
    return "something inserted"


def repeat(path: Path, outside: Path, rng: Rng) -> str:
    path.write_bytes(path.read_bytes() * 2)
    return "twice"


def blank(path: Path, outside: Path, rng: Rng) -> str:
    path.write_bytes([b"", b"\0" * 100, b"\n", b"{}", b"[]", b"null"][rng.integers(6)])
    return "blank"


def trap(path: Path, outside: Path, rng: Rng) -> str:
    path.write_bytes(pickle.dumps(Boobytrap()))
    return "a pickle"


def numpy_trap(path: Path, outside: Path, rng: Rng) -> str:
    objects = np.array([Boobytrap()], object)
    with open(path, "wb") as file:
        if rng.integers(2):
            np.savez(file, x=objects, y=objects)
        else:
            np.save(file, objects, allow_pickle=True)
    return "a numpy file with objects"


def absent(path: Path, outside: Path, rng: Rng) -> str:
    path.unlink()
    return "removed"


def folder(path: Path, outside: Path, rng: Rng) -> str:
    path.unlink()
    path.mkdir()
    if rng.integers(2):
        (path / "letter").write_text("dear")
    return "a folder in its place"


def pipe(path: Path, outside: Path, rng: Rng) -> str:
    path.unlink()
    os.mkfifo(path)
    return "a pipe in its place"


def link(path: Path, outside: Path, rng: Rng) -> str:
    target = outside / path.name
    shutil.copy(path, target)
    path.unlink()
    path.symlink_to([target, outside / "nowhere", path, outside][rng.integers(4)])
    return f"a link to {path.readlink().name}"


def hard_link(path: Path, outside: Path, rng: Rng) -> str:
    os.link(path, outside / path.name)
    return "a second name outside"


def linked_beside(path: Path, outside: Path, rng: Rng) -> str:
    (outside / "precious").write_text("precious")
    path.with_name(path.name + ".new").symlink_to(outside / "precious")
    return "a link where it is written beside"


def swap(path: Path, outside: Path, rng: Rng) -> str:
    others = sorted(other for other in path.parent.rglob("*") if other.is_file() and other != path)
    if not others:
        return "alone"
    other = others[rng.integers(len(others))]
    mine = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(mine)
    return f"swapped with {other.name}"


def rewrite_toml(path: Path, outside: Path, rng: Rng) -> str:
    values = tomllib.loads(path.read_text())
    key = sorted(values)[rng.integers(len(values))]
    if rng.integers(6) == 0:
        del values[key]
        done = f"no {key}"
    else:
        key = "".join(rng.permutation(list(key))) if rng.integers(8) == 0 else key
        values[key] = anything(rng)
        done = f"{key} = {str(values[key])[:40]!r}"
    lines = []
    for name, value in values.items():
        text = f"{name} = {{ a = 1 }}\n" if isinstance(value, dict) else to_toml({name: value})
        lines.append(text)
    path.write_text("".join(lines))
    return done


def rewrite_tensors(path: Path, outside: Path, rng: Rng) -> str:
    """Change the header of a safetensors file: what it says about itself, or what it says about its arrays."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    if rng.integers(3):
        about = json.loads(header["__metadata__"]["rnnframe"])
        done = change(about, rng)
        header["__metadata__"]["rnnframe"] = json.dumps(about)
    else:
        done = change(header, rng)
    written = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(written)) + written + rest)
    return f"header: {done}"


def change(thing: dict[str, Any], rng: Rng) -> str:
    """Put anything in the place of a value, however deep, or take it away, or give it another name."""
    key = sorted(thing)[rng.integers(len(thing))]
    if isinstance(thing[key], dict) and thing[key] and rng.integers(5):
        return f"{key}.{change(thing[key], rng)}"
    match rng.integers(6):
        case 0:
            del thing[key]
            return f"no {key}"
        case 1:
            thing[key + "x"] = thing.pop(key)
            return f"{key}x"
        case _:
            thing[key] = anything(rng)
            return f"{key} = {str(thing[key])[:40]!r}"


def rewrite_arrays(path: Path, outside: Path, rng: Rng) -> str:
    """Change an array of a NPZ file: its values, type or shape; or give it another name."""
    with open(path, "rb") as data, np.load(data, allow_pickle=False) as file:
        arrays = dict(file)
    name = sorted(arrays)[rng.integers(len(arrays))]
    made: list[tuple[str, Callable[[Any], Any]]] = [
        ("gone", lambda a: None),
        ("objects", lambda a: np.array([Boobytrap()] * len(a), object)),
        ("texts", lambda a: a.astype("U8")),
        ("bytes", lambda a: a.astype("S8")),
        ("nan", lambda a: np.full(a.shape, np.nan)),
        ("huge", lambda a: np.full(a.shape, 1e300)),
        ("negative", lambda a: -1 - np.abs(a)),
        ("complex", lambda a: a.astype(complex)),
        ("empty", lambda a: a[:0]),
        ("shorter", lambda a: a[:-1]),
        ("flat", lambda a: a.ravel()),
        ("deeper", lambda a: a[None]),
        ("one number", lambda a: a.ravel()[0]),
        ("booleans", lambda a: a.astype(bool)),
        ("dates", lambda a: np.zeros(a.shape, "M8[s]")),
        ("named", lambda a: np.zeros(a.shape, [("a", "f4"), ("b", "i4")])),
        ("turned", lambda a: a.T),
        ("large counts", lambda a: np.full(a.shape, 10**15)),
    ]
    done, change = made[rng.integers(len(made))]
    changed = change(arrays.pop(name))
    if changed is not None:
        arrays[name + "x" * int(rng.integers(8) == 0)] = changed
    np.savez(path, **arrays)
    return f"{name}: {done}"


def rewrite_csv(path: Path, outside: Path, rng: Rng) -> str:
    """Put anything in a place between two commas or line ends."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    row = rows[rng.integers(len(rows)) if rng.integers(2) else rng.integers(min(6, len(rows)))]
    what = anything(rng)
    row[rng.integers(len(row))] = str(what)
    if rng.integers(4) == 0:
        row.append("more")
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return f"{str(what)[:40]!r} among the values"


def foreign_tensors(path: Path, outside: Path, rng: Rng) -> str:
    from safetensors.numpy import save

    arrays = {"weight": np.zeros((2, 3), [np.float32, np.int8, np.float16][rng.integers(3)]), "": np.zeros(())}
    path.write_bytes(save(arrays, {"format": "pt"} if rng.integers(2) else None))
    return "a foreign safetensors file"


KNOWN: dict[str, Damage] = {
    ".toml": rewrite_toml,
    ".safetensors": rewrite_tensors,
    ".npz": rewrite_arrays,
    ".csv": rewrite_csv,
    ".ts": rewrite_csv,
}
BYTES: list[Damage] = [cut, flip, flip_head, scribble, repeat, blank, trap, numpy_trap]
PLACES: list[Damage] = [absent, folder, link, hard_link, linked_beside, swap]


def damage(path: Path, outside: Path, rng: Rng) -> str:
    """Damage a file in some way that makes sense for it; where its format is known, that way every other time."""
    known = KNOWN.get(path.suffix)
    if known and rng.integers(2):
        return known(path, outside, rng)
    choices = BYTES + PLACES
    if "run" in path.parts:
        choices = [*choices, pipe]  # a pipe that the user names is waited for, as everywhere
    if path.suffix == ".safetensors":
        choices = [*choices, foreign_tensors]
    return choices[rng.integers(len(choices))](path, outside, rng)
