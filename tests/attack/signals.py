"""Run as a program: send SIGINT or SIGTERM to a training, once or twice, from its first instruction to its last.

    python signals.py FOLDER SEED COUNT SECONDS

One line at most is said, and the run that is left goes on to the bits of one that nobody stopped. What Python
prints while it starts itself is counted apart. Prints how many were tried, with which exit codes, and what failed.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

WORDS = "--cell elman:hidden=3 --batch 2 --steps 8 --epochs 2 --quiet --sample 0 --kernels numpy --shards 1"
EXPECTED = (0, 128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)
SITE = "Fatal Python error: init_import_site"
"""What Python says where an interrupt comes while it looks for packages."""


def start(*words: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "rnnframe", "train", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def attack(folder: Path, seed: int, count: int, seconds: float) -> dict[str, object]:
    rng, codes, failed, tried, early = random.Random(seed), Counter[int](), [], 0, 0
    ends = time.monotonic() + seconds
    text, whole = folder / "text.txt", folder / "whole"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 40)
    begun = time.monotonic()
    process = start("--data", text, *WORDS.split(), "--out", whole)
    assert process.wait() == 0, process.communicate()
    usual = time.monotonic() - begun
    expected = (whole / "weights.safetensors").read_bytes()
    while tried < count and time.monotonic() < ends:
        tried += 1
        run = folder / f"run{tried}"
        words = ("--data", text, *WORDS.split(), "--out", run)
        process, sent = start(*words), []
        time.sleep(rng.choice((rng.uniform(0, 0.1), rng.uniform(0, usual), rng.uniform(0.9, 1.05) * usual)))
        for _ in range(rng.choice((1, 2))):
            sent.append(rng.choice((signal.SIGINT, signal.SIGTERM)))
            process.send_signal(sent[-1])
            time.sleep(rng.choice((0, 0.01, 0.1)))
        try:
            _, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            failed.append(f"{tried}: {sent} hangs")
            continue
        codes[process.returncode] += 1
        story = f"{tried}: {[each.name for each in sent]}: {process.returncode} {err[-300:]!r}"
        lines = [line for line in err.splitlines() if line and "go on with" not in line]
        if err.startswith(SITE) or (process.returncode == -signal.SIGINT and "rnnframe" not in err):
            early += 1  # while Python itself starts: nobody can catch it there
        elif process.returncode not in EXPECTED or "Traceback" in err or len(lines) > 1:
            failed.append(story)
        if process.returncode:
            again = start("--resume", run, "--quiet", "--sample", 0)
            _, told = again.communicate(timeout=60)
            if again.returncode == 2 and "finished its 2 epochs" in told:
                pass
            elif again.returncode:  # stopped before there was a run
                again = start(*words, *(["--force"] if run.exists() else []))
                again.communicate(timeout=60)
        if (run / "weights.safetensors").read_bytes() != expected or list(run.rglob("*.new")):
            failed.append(f"{story}: other weights, or files left over")
    return {"tried": tried, "codes": dict(codes), "before the program": early, "failed": failed}


if __name__ == "__main__":
    print(json.dumps(attack(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
