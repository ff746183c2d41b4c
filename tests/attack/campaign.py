"""Run the campaign piece by piece, and print one table of all pieces that ever ran.

    python -m tests.attack FOLDER [--seconds N] [--piece N] [FAMILY ...]

Each piece is a program with a seed of its own. What came of it is a line of FOLDER/results.jsonl, with the version of
the code. Families take turns until each has tried as many as it
should, or the seconds are over; with `--seconds 0` only the table is printed. Ends with 1 where anything failed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from attack.families import FAMILIES, TESTS, Family, Outcome

LONGEST = 900
"""Seconds of a piece; what takes longer, hangs."""


def version() -> str:
    """Return which code is attacked."""
    words = ["git", "-C", str(TESTS), "describe", "--always", "--dirty"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def run(family: Family, seed: int) -> dict[str, Any]:
    """Run the piece of a family with a seed, and return its line."""
    folder = Path(tempfile.mkdtemp(prefix="rnnframe-attack-"))
    begun = time.monotonic()
    command = [sys.executable, "-W", "ignore", *family.words(seed, folder)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=LONGEST, cwd=folder
        )
        outcome = family.read(done.stdout) if done.returncode == 0 else Outcome(0, [done.stderr[-600:]])
    except subprocess.TimeoutExpired:
        outcome = Outcome(0, [f"hangs: nothing within {LONGEST} s"])
    except (ValueError, KeyError, IndexError) as error:
        outcome = Outcome(0, [f"{error!r}: {done.stdout[-300:]} {done.stderr[-300:]}"])
    shutil.rmtree(folder, ignore_errors=True)
    seconds = round(time.monotonic() - begun, 1)
    return {
        "family": family.name,
        "seed": seed,
        "version": version(),
        "tried": outcome.tried,
        "failed": outcome.failed,
        "seconds": seconds,
    }


def read(results: Path) -> list[dict[str, Any]]:
    """Return the lines of all pieces that ran."""
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def table(pieces: list[dict[str, Any]]) -> str:
    """Return a row for each family: tried, wanted, failed, seeds, versions and seconds."""
    rows = [("family", "tried", "wanted", "failed", "hangs", "seeds", "versions", "seconds")]
    for family in FAMILIES:
        of = [piece for piece in pieces if piece["family"] == family.name]
        failed = [each for piece in of for each in piece["failed"]]
        hangs = sum("hangs" in each or "still at work" in each for each in failed)
        seeds = ",".join(str(piece["seed"]) for piece in sorted(of, key=lambda piece: piece["seed"]))
        versions = ",".join(dict.fromkeys(piece["version"].removesuffix("-dirty") for piece in of))
        seconds = round(sum(piece["seconds"] for piece in of))
        tried = sum(piece["tried"] for piece in of)
        rows.append(
            (family.name, *map(str, (tried, family.goal, len(failed) - hangs, hangs, seeds, versions, seconds)))
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    told = [f"{piece['family']}, seed {piece['seed']}: {each[:400]}" for piece in pieces for each in piece["failed"]]
    return "\n".join([*lines, *told])


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.attack", description=(__doc__ or "").splitlines()[0])
    asked.add_argument("folder", type=Path)
    asked.add_argument("--seconds", type=float, default=3600)
    asked.add_argument("family", nargs="*", help=", ".join(family.name for family in FAMILIES))
    given = asked.parse_intermixed_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    results, ends = given.folder / "results.jsonl", time.monotonic() + given.seconds
    turn = True
    while turn:
        turn = False
        for family in FAMILIES:
            pieces = [piece for piece in read(results) if piece["family"] == family.name]
            enough = sum(piece["tried"] for piece in pieces) >= family.goal
            if enough or time.monotonic() > ends or (given.family and family.name not in given.family):
                continue
            turn = True
            with results.open("a") as file:
                file.write(json.dumps(run(family, len(pieces))) + "\n")
    pieces = read(results)
    print(table(pieces))
    return int(any(piece["failed"] for piece in pieces))
