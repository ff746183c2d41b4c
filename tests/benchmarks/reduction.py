"""Time a sum of gradients over ranks on this machine, beside the model of it.

    python -m tests.benchmarks reduction [--reducer mpi|gloo] [--ranks 2] [--floats 1000000,10000000] [--turns 25]

The ranks are started by mpiexec or torchrun. They first measure what the model takes: seconds of a short message
(alpha) and of each byte of long ones (beta) by `Group.exchange` between them, and the seconds in which all of them at
once add a vector to another one. Then `Link.sum_seconds`, which `rnnframe plan --ranks` predicts with, is printed
beside the time that `Group.sum` takes. Times are medians, with the half between the quartiles; ranks wait for each
other before each, and the slowest one counts. Each rank needs a core that does nothing else.
"""

import argparse
import json
import subprocess

from tests.benchmarks.machine import machine_line, surroundings
from tests.benchmarks.options import numbers
from tests.rank_jobs import ENVIRONMENT, launched


def main(words: list[str]) -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks reduction")
    parser.add_argument("--reducer", default="mpi")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--floats", type=numbers, default=[1_000_000, 10_000_000])
    parser.add_argument("--turns", type=int, default=25)
    options = parser.parse_args(words)
    request = json.dumps({"reducer": options.reducer, "floats": options.floats, "turns": options.turns})
    line = launched(options.reducer, options.ranks, "-m", "tests.benchmarks.reduction_worker", request)
    done = subprocess.run(line, env=ENVIRONMENT | surroundings(1), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip() or f"{line[0]} ended with {done.returncode}")
    found = json.loads(done.stdout.splitlines()[-1])
    print(machine_line())
    print(
        f"\n{options.ranks} ranks, {options.reducer}: a message takes {1e6 * found['latency']:.1f} us, and goes on at "
        f"{found['rate'] / 1e9:.2f} GB/s each way at once\n"
    )
    titles = ("floats", "measured", "half of them", "model", "model / measured", "messages", "adding")
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for row in found["rows"]:
        low, high = (f"{1e3 * seconds:.2f}" for seconds in row["quartiles"])
        measured, model, messages, adding = (
            f"{1e3 * row[name]:.2f} ms" for name in ("measured", "model", "messages", "adding")
        )
        share = f"{row['model'] / row['measured']:.2f}"
        cells = (f"{row['floats']:,}", measured, f"{low} to {high} ms", model, share, messages, adding)
        print(f"| {' | '.join(cells)} |")
