"""Run as a program: make engines and drop them, fork and spawn after shards, copy, pickle, and call from asyncio.

    python embedding.py FOLDER ENGINES

Prints what was tried and what was left behind: threads, open files, bytes of the resident set.
"""

import asyncio
import copy
import gc
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np

import rnnframe as rf
from rnnframe.errors import BusyError

STORES = ("full-history", "states", "checkpoint:slots=2", "auto:budget=8MiB", "circular-queue:k1=4,k2=8")


def bits(result: rf.Result) -> bytes:
    return repr(result.loss).encode() + result.gradients.flat.tobytes() + result.state.flat.tobytes()


def make(store: str, shards: int, kernels: str = "auto") -> rf.Engine:
    return rf.Engine(rf.Network(["lstm:hidden=6"], "mse:outputs=2", 3), store, chunk=4, shards=shards, kernels=kernels)


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((24, 8, 3)).astype("f"), rng.standard_normal((24, 8, 2)).astype("f")


def in_use() -> tuple[int, int, int]:
    """Return threads, open files and KiB of the resident set."""
    gc.collect()
    resident = Path("/proc/self/statm").read_text().split()[1]
    return threading.active_count(), len(os.listdir("/proc/self/fd")), int(resident) * 4


def drop_many(count: int, folder: Path) -> dict[str, object]:
    x, y = data()
    stores = [*STORES, f"checkpoint:medium=disk:path={folder}"]

    def some(number: int) -> None:
        for n in range(number):
            engine = make(stores[n % len(stores)], 1 + n % 3, ("numpy", "auto")[n % 2])
            engine.gradients(x, y)
            if n % 7 == 0:
                engine.evaluate(x, y)

    some(60)
    before = in_use()
    some(count)
    after = in_use()
    kept = [name for name in os.listdir(folder) if "rnnframe" in name]
    grown = [now - then for now, then in zip(after, before, strict=True)]  # of shards that ended, threads may be fewer
    failed = [] if grown[0] <= 0 and grown[1] <= 0 and grown[2] < 8192 and not kept else [f"{before} {after} {kept}"]
    return {"tried": count, "failed": failed, "grown KiB": after[2] - before[2]}


def work(store: str, expected: bytes, queue: "multiprocessing.Queue[bool]") -> None:
    queue.put(bits(make(store, 2).gradients(*data())) == expected)


def embed() -> dict[str, object]:
    x, y = data()
    failed, tried = [], 0
    for store in STORES:
        for shards in (1, 2, 3):
            engine = make(store, shards)
            expected = bits(engine.gradients(x, y))
            copies = {
                "copy": copy.copy(engine),
                "deep copy": copy.deepcopy(engine),
                "pickle": pickle.loads(pickle.dumps(engine)),
                "pickle of the network": rf.Engine(
                    pickle.loads(pickle.dumps(engine.network)), store, chunk=4, shards=shards
                ),
            }
            for name, other in copies.items():
                tried += 1
                if bits(other.gradients(x, y)) != expected:
                    failed.append(f"{store}, {shards} shards: {name}")
            tried += 1
            child = os.fork()  # with threads that wait
            if not child:
                os._exit(0 if bits(engine.gradients(x, y)) == expected else 1)
            if os.waitpid(child, 0)[1] or bits(engine.gradients(x, y)) != expected:
                failed.append(f"{store}, {shards} shards: fork")

            async def together(engine: rf.Engine = engine) -> list[object]:
                calls = [asyncio.to_thread(engine.gradients, x, y) for _ in range(6)]
                return await asyncio.gather(*calls, return_exceptions=True)

            tried += 1
            found = asyncio.run(together())
            good = [bits(each) == expected for each in found if isinstance(each, rf.Result)]
            if not all(good) or any(not isinstance(each, rf.Result | BusyError) for each in found):
                failed.append(f"{store}, {shards} shards: asyncio {found!r:.200}")
    spawning = multiprocessing.get_context("spawn")
    for store in STORES[:2]:
        tried += 1
        queue = spawning.Queue()
        process = spawning.Process(target=work, args=(store, bits(make(store, 2).gradients(x, y)), queue))
        process.start()
        if not queue.get(timeout=120):
            failed.append(f"{store}: spawn")
        process.join()
    return {"tried": tried, "failed": failed}


EXITS = """
import sys, threading, numpy as np, rnnframe as rf
x, y = np.zeros((4000, 8, 3), "f"), np.zeros((4000, 8, 2), "f")
network = rf.Network(["lstm:hidden=6"], "mse:outputs=2", 3)
engine = rf.Engine(network, {store!r}, chunk=4, shards={shards}, kernels="numpy")
threading.Thread(target=engine.gradients, args=(x, y), daemon={daemon}).start()
{end}
"""


def exits() -> dict[str, object]:
    failed, tried = [], 0
    for shards in (1, 2):
        for daemon in (True, False):
            for end in ("", "sys.exit(3)", "raise KeyError('x')"):
                tried += 1
                text = EXITS.format(store="checkpoint:slots=3", shards=shards, daemon=daemon, end=end)
                try:
                    done = subprocess.run(
                        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False
                    )
                except subprocess.TimeoutExpired:
                    failed.append(f"{shards} {daemon} {end}: hangs")
                    continue
                wanted = 0 if not end else 3 if "exit" in end else 1
                if done.returncode != wanted or done.stderr.count("Traceback") != ("raise" in end):
                    failed.append(f"{shards} {daemon} {end!r}: {done.returncode} {done.stderr[-200:]!r}")
    return {"tried": tried, "failed": failed}


def main(folder: Path, count: int) -> None:
    print(json.dumps({"copies, forks and calls": embed(), "ends": exits(), "engines": drop_many(count, folder)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
