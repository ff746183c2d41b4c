"""Characters of a file larger than the memory that the process may have, beside the same characters held in memory.

    python -m tests.benchmarks stream [--characters N] [--limit MIB] [--cell SPEC] [--store SPEC] [--threads N] ...

A text of 1.25 times the limit is written into FOLDER: the Python documentation topics again and again. Two processes
train on it, turn by turn on the same batches: one reads it as it trains, its address space limited (RLIMIT_AS, so that
the file could not even be mapped); the other holds all of it. Losses, bytes held and characters a second are compared.
Needs Linux.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.machine import machine_line
from tests.benchmarks.processes import Worker

TURNS = 10
BATCH, STEPS = 64, 64


def main(words: list[str]) -> None:
    """Write the text, let both processes train on it in turns, and print a row for each turn."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks stream")
    parser.add_argument("--characters", type=int, default=10_000_000)
    parser.add_argument("--limit", type=int, default=512, help="MiB of address space")
    parser.add_argument("--cell", default="gru:hidden=32")
    parser.add_argument("--store", default="circular-queue:k1=16,k2=32")
    parser.add_argument("--kernels", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--disk", default=tempfile.gettempdir(), metavar="FOLDER")
    options = parser.parse_args(words)
    batches = max(1, options.characters // (TURNS * BATCH * STEPS))
    print(machine_line())
    print(f"{options.cell}, {options.store}, batch {BATCH}, steps {STEPS}, {options.threads} threads")
    with tempfile.TemporaryDirectory(dir=options.disk) as folder:
        path = Path(folder) / "text.txt"
        write_text(path, int(1.25 * options.limit * 2**20))
        print(f"a text of {path.stat().st_size / 2**20:.0f} MiB, address space limited to {options.limit} MiB")
        told = (str(path), str(options.limit), options.cell, options.store, options.kernels, str(BATCH), str(STEPS))
        workers = [Worker("tests.benchmarks.stream_subject", how, options.threads, *told) for how in ("file", "held")]
        rows = [turn(workers, batches, number) for number in range(TURNS)]
        for worker in workers:
            worker.close()
    ratios = [held["seconds"] / file["seconds"] for file, held in rows]
    characters = sum(file["characters"] for file, _ in rows)
    growth = rows[-1][0]["anonymous"] - rows[0][0]["anonymous"]
    print(f"\n{characters:,} characters of each; throughput from the file {statistics.median(ratios):.3f} of that held")
    print(f"grown by {growth / 2**20:+.2f} MiB between the first turn and the last; same losses: {same(rows)}")
    if not same(rows):
        sys.exit("the losses differ")


def turn(workers: list[Worker], batches: int, number: int) -> tuple[dict, dict]:
    """Let each process train on some batches, the first one alternating, and print what they did."""
    order = workers if number % 2 == 0 else workers[::-1]
    told = {worker.subject: worker.ask(batches=batches) for worker in order}
    for how in ("file", "held"):
        row = told[how]
        print(
            f"{how:5} {row['characters'] / row['seconds']:>10,.0f} characters/s   loss {row['loss']:.6f}   "
            f"anonymous {row['anonymous'] / 2**20:7.2f} MiB   address space {row['mapped'] / 2**20:7.1f} MiB",
            flush=True,
        )
    return told["file"], told["held"]


def same(rows: list[tuple[dict, dict]]) -> bool:
    """Whether both processes reached the same losses, to the last bit."""
    return all(file["loss"] == held["loss"] for file, held in rows)


def write_text(path: Path, size: int) -> None:
    """Write the embedded text again and again, until there are so many bytes."""
    from rnnframe_tasks.text import embedded_text

    text = embedded_text().encode()
    with open(path, "wb") as file:
        while file.tell() < size:
            file.write(text)
