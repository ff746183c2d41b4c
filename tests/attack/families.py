"""The families of the campaign: what is tried how often, by which program, in pieces of a minute or two."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import attrs

TESTS = Path(__file__).parent.parent
TEXT = "the quick brown fox jumps over the lazy dog. " * 5
STORES = ("full-history", "states", "auto:budget=1MiB", "circular-queue:k1=8,k2=16,weights=stored")
STORES += ("checkpoint:slots=3", "checkpoint:slots=3,policy=online", "checkpoint:medium=disk:path={folder}")
STORES += ("checkpoint:slots=3,keep=bfloat16",)
ENGINES = list(product(("numpy", "compiled"), (1, 2, 3)))
"""Kernels and shards of the engines that are interrupted."""
READERS = ("spec", "toml", "ts", "table", "metadata", "tensors", "metrics", "onnx", "state_dict")

Words = list[str]


@attrs.frozen
class Outcome:
    """What came of a piece: how many were tried, and a line for each that failed."""

    tried: int
    failed: list[str]


def told(printed: str) -> Outcome:
    """Read what most of the programs print: a JSON object, or several by name."""
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    parts = [found] if "tried" in found else list(found.values())
    return Outcome(sum(part["tried"] for part in parts), [str(each) for part in parts for each in part["failed"]])


def interrupted(printed: str) -> Outcome:
    """Read how many calls each engine was interrupted in; the program ends where one gives other bits."""
    return Outcome(sum(map(int, printed.split())), [])


def killed(printed: str) -> Outcome:
    """Read the counts of `killed.py`: operations, kills, and runs that began anew."""
    return Outcome(int(printed.split()[1]), [])


def replaced(printed: str) -> Outcome:
    """Read the counts of `replaced.py`: operations, and after how many kills the old and the new run were there."""
    return Outcome(sum(map(int, printed.split()[1:])) - 1, [])  # the last one came to its end


@attrs.frozen(kw_only=True)
class Family:
    """What is attacked in one way: how many in all, and the program for the piece with a seed in a folder."""

    name: str
    goal: int
    words: Callable[[int, Path], Words]
    read: Callable[[str], Outcome] = told


def _program(*words: object) -> Words:
    return [str(TESTS / str(words[0])), *map(str, words[1:])]


def _kills(program: str) -> Callable[[int, Path], Words]:
    def words(seed: int, folder: Path) -> Words:
        (folder / "text.txt").write_text(TEXT)
        return _program(program, folder / "text.txt", folder, seed % 5 + 1, 5)

    return words


def _interrupts(seed: int, folder: Path) -> Words:
    kernels, shards = ENGINES[seed % len(ENGINES)]
    stores = [store.format(folder=folder) for store in STORES]
    return _program("interrupting.py", seed, 14, shards, kernels, *stores)


FAMILIES = (
    Family(name="kills of trainings", goal=60, words=_kills("cli/killed.py"), read=killed),
    Family(name="kills of replacements", goal=20, words=_kills("cli/replaced.py"), read=replaced),
    Family(
        name="kills and interrupts of writers",
        goal=60,
        words=lambda seed, folder: _program("attack/written.py", folder),
    ),
    Family(name="signals", goal=40, words=lambda seed, folder: _program("attack/signals.py", folder, seed, 20, 200)),
    Family(name="interrupts of engines", goal=500, words=_interrupts, read=interrupted),
    Family(
        name="damaged files",
        goal=2500,
        words=lambda seed, folder: _program("attack/damaged.py", seed, 250, 240, folder),
    ),
    Family(
        name="guided inputs",
        goal=5000 * len(READERS),
        words=lambda seed, folder: _program("attack/guided.py", READERS[seed % len(READERS)], seed, 5000, 120, folder),
    ),
    Family(name="arrays", goal=2000, words=lambda seed, folder: _program("attack/inputs.py", seed, 1000, 100)),
    Family(name="methods that fail", goal=56, words=lambda seed, folder: _program("attack/methods.py", folder, seed)),
    Family(name="places", goal=60, words=lambda seed, folder: _program("attack/places.py", folder, seed, 30, 240)),
    Family(name="plugins", goal=40, words=lambda seed, folder: _program("attack/plugins.py", folder)),
    Family(name="budgets", goal=200, words=lambda seed, folder: _program("attack/budgets.py", seed, 25, folder, 240)),
    Family(name="embedding", goal=1000, words=lambda seed, folder: _program("attack/embedding.py", folder, 250)),
)
