"""Run as a program: draw configurations at random, run each in a process of its own, and compare memory with the plan.

    python budgets.py SEED COUNT FOLDER SECONDS

ends after COUNT configurations, or after so many seconds.

Every process is forked from this one, which has imported and compiled all that there is to. Its peak of the resident
set above what it held before the run must stay below what the engine predicted, 2 %, and what the report leaves out:
the gradient, its copy and the shards' own; Python's objects for each tape, and for each piece that resets and ends of
samples cut the chunk at work into; resets, and a copy of the states that are reset at one step; pages of a disk's file,
which the system may take back; what BLAS rearranges of a product where it runs in several threads; a fixed allowance
for the allocator.
"""

import gc
import json
import math
import os
import sys
import time
from pathlib import Path

import numpy as np

import rnnframe as rf
from rnnframe.data.columns import deal
from rnnframe.engine import blas
from rnnframe.errors import OptionError

MIB = 2**20
ALLOWANCE = 3 * MIB  # pages of stacks, arenas of the allocator
BLAS_BUFFER = 32 * MIB  # the most that OpenBLAS touches in each thread
MANY = {
    "steps": 2,
    "batch": 100_000,
    "store": "full-history",
    "chunk": None,
    "shards": 1,
    "kernels": "numpy",
    "blas": 2,
}
OBJECTS = 600  # bytes for each tape and snapshot at a time
PIECE, PIECE_OF_LAYER = 1536, 768  # bytes of the objects of a piece: of its data, and of a layer's arrays
CELLS = (["elman:hidden=4"], ["elman:hidden=64"], ["lstm:hidden=32"], ["gru:hidden=48"], ["lstm:hidden=64"] * 3)
CELLS += (["lstm:hidden=96", "gru:hidden=32,reset=before"], ["mingru:hidden=40"])
CELLS += (["linear-attention:heads=2,keys=8,values=12"], ["selective-ssm:states=4"])
SHAPES = ((20_000, 4), (3000, 16), (1000, 32), (400, 64), (60, 600), (2, 20_000), (1, 40_000), (6000, 3), (7, 5000))
SHAPES += ((1_000_000, 1), (2, 100_000))
STORES = ("full-history", "full-history:keep=lean", "states", "circular-queue:k1=32,k2=100")
STORES += ("checkpoint", "checkpoint:policy=revolve,slots=5", "checkpoint:policy=mixed,slots=200", "auto:budget={}")
STORES += ("auto:budget={}", "auto:budget={}", "checkpoint:budget={}", "checkpoint:budget={},keep=lean")
STORES += ("checkpoint:budget={},medium=float16", "checkpoint:medium=disk:path={folder}")
STORES += ("full-history:keep=bfloat16", "checkpoint:budget={},keep=bfloat16")


def status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def draw(rng: np.random.Generator, folder: Path) -> dict:
    def one(choices):
        return choices[rng.integers(len(choices))]

    steps, batch = one(SHAPES)
    budget = f"{one((1, 4, 8, 30, 100, 300))}MiB"
    return {
        "cells": list(one(CELLS)),
        "steps": steps,
        "batch": batch,
        "store": one(STORES).format(budget, folder=folder),
        "chunk": one((None, None, None, 1, 7, 200)),
        "shards": one((1, 1, 2, 3)),
        "kernels": one(("numpy", "auto")),
        "lengths": bool(rng.integers(4) == 0),
        "resets": float(one((0, 0, 0, 0.01, 0.5))),
        "blas": one((1, 1, 2)),
    }


def with_blas_threads(count: int) -> int:
    """Have BLAS use so many threads; return how many it uses."""
    controls = blas._controls()
    if controls is not None:
        controls[1](count)
    return blas.threads() or 1


def blas_bytes(network: rf.Network, rows: int, threads: int) -> int:
    """Return what BLAS may hold of the operands of a product of so many rows; one thread holds some KiB."""
    widest = max(sum(array.shape) for _, array in network.parameters.items())
    return 0 if threads == 1 else min(rows * widest * 4, threads * BLAS_BUFFER)


def pieces_at_work(chunk: int, shards: int, lengths: np.ndarray | None, resets: np.ndarray | None, batch: int) -> int:
    """Return into how many pieces the chunks that the shards work at are cut at most, all together."""
    many = 0
    for columns in deal(batch, lengths, shards) if resets is not None or lengths is not None else []:
        steps = len(resets) if resets is not None else int(lengths.max())
        cuts = np.zeros(steps, bool) if resets is None else resets[:, columns].any(axis=1)
        if lengths is not None:
            cuts[lengths[columns] - 1] = True
        many += 1 + int(np.add.reduceat(cuts, np.arange(0, steps, chunk), dtype=np.intp).max())
    return many


def measure(case: dict) -> dict:
    """Run one configuration, and return its peak above idle and its plan; {} where the budget is refused."""
    rng, steps, batch = np.random.default_rng(0), case["steps"], case["batch"]
    x = rng.standard_normal((steps, batch, 8), np.float32)
    y = rng.standard_normal((steps, batch, 2), np.float32)
    lengths = rng.integers(1, steps + 1, batch) if case["lengths"] else None
    resets = rng.random((steps, batch)) < case["resets"] if case["resets"] else None
    network = rf.Network(cells=case["cells"], head="mse:outputs=2", inputs=8)
    options = {name: case[name] for name in ("store", "chunk", "shards", "kernels")}
    engine = rf.Engine(network, **options)
    try:
        simulation = engine.plan(steps, batch).simulation
    except OptionError:
        return {}
    threads = with_blas_threads(case["blas"])
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    idle = status("VmRSS")
    report = engine.gradients(x, y, lengths=lengths, resets=resets).report
    above = status("VmHWM") - idle
    gradients = (report.shards + 2) * network.parameters.nbytes
    objects = OBJECTS * report.shards * (simulation.tapes + simulation.snapshots)
    pieces = pieces_at_work(report.chunk, report.shards, lengths, resets, batch)
    objects += pieces * (PIECE + PIECE_OF_LAYER * len(case["cells"]))
    excluded = gradients + objects + report.data_bytes + ALLOWANCE
    plans = engine.run_plan(steps, batch).shards
    states = sum(plan.costs.snapshot for plan in plans)
    if case["resets"]:
        excluded += states + steps * batch
    if report.shards == 1:  # else BLAS runs in one thread
        excluded += blas_bytes(network, report.chunk * batch, threads)
    if "disk" in case["store"]:
        excluded += states * simulation.far_snapshots
    return {
        "above": above,
        "predicted": report.predicted_bytes,
        "excluded": excluded,
        "beyond": above - 1.02 * report.predicted_bytes - excluded,
    }


def in_a_process(case: dict, seconds: int) -> dict | str:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            import signal

            signal.alarm(seconds)
            found: dict | str = measure(case)
        except BaseException as error:
            found = repr(error)
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return json.loads(told) if told else f"nothing within {seconds} s"


def main(seed: int, count: int, folder: Path, seconds: float) -> None:
    rng, refused, failed, worst, late = np.random.default_rng(seed), 0, [], -math.inf, 0
    small = {
        "steps": 9,
        "chunk": 2,
        "shards": 1,
        "lengths": True,
        "resets": 0.5,
        "blas": 1,
    }
    for cells in CELLS:  # all that there is to import and compile, also what few samples and shorter tapes need
        for store, batch in (("checkpoint", 6), ("full-history:keep=lean", 6), ("states", 6), ("checkpoint", 2)):
            measure({"cells": cells, "kernels": "auto", "store": store, "batch": batch, **small})
    ends, tried = time.monotonic() + seconds, 0
    while tried < count and time.monotonic() < ends:
        tried += 1
        case = draw(rng, folder)
        if tried == 1:
            case |= MANY | {"cells": list(CELLS[seed % len(CELLS)])}
        if case["chunk"] == 1:
            case["steps"] = min(case["steps"], 3000)
        elif case["chunk"] == 7:
            case["steps"] = min(case["steps"], 20_000)
        found = in_a_process(case, 60)
        if found == {}:
            refused += 1
        elif isinstance(found, str):
            late += "within" in found
            failed += [] if "within" in found else [f"{case}: {found}"]
        else:
            worst = max(worst, found["beyond"])
            if found["beyond"] > 0:
                failed.append(f"{case}: {found}")
    print(json.dumps({"tried": tried, "refused": refused, "late": late, "worst": worst / MIB, "failed": failed}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))
