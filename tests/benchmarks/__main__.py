"""List the benchmarks, or run one: `python -m tests.benchmarks [NAME [options]]`."""

import sys

from tests.benchmarks import (
    classification,
    drop_in,
    epoch,
    extras,
    forecasts,
    lengths,
    linear_cells,
    long,
    memory,
    public_tables,
    reduction,
    scaling,
    speed,
    steps,
    stream,
    table_reading,
    tables,
    theory,
    torch_cells,
)

BENCHMARKS = {
    "speed": speed,
    "epoch": epoch,
    "extras": extras,
    "scaling": scaling,
    "reduction": reduction,
    "memory": memory,
    "lengths": lengths,
    "linear-cells": linear_cells,
    "long": long,
    "stream": stream,
    "steps": steps,
    "classification": classification,
    "forecasts": forecasts,
    "torch-cells": torch_cells,
    "drop-in": drop_in,
    "public-tables": public_tables,
    "table-reading": table_reading,
    "tables": tables,
    "theory": theory,
}


def index() -> str:
    """Return how to run a benchmark, and the first line of each one's docstring."""
    lines = ["usage: python -m tests.benchmarks NAME [options]", ""]
    lines += [f"  {name:15}{(module.__doc__ or '').splitlines()[0]}" for name, module in BENCHMARKS.items()]
    return "\n".join([*lines, "", "The options of one of them: python -m tests.benchmarks NAME --help"])


def main(words: list[str]) -> None:
    """Run the benchmark that the first word names; without a word, list all benchmarks."""
    if not words or words[0] in ("-h", "--help"):
        print(index())
    elif words[0] in BENCHMARKS:
        BENCHMARKS[words[0]].main(words[1:])
    else:
        print(f"There is no benchmark {words[0]!r}.\n\n{index()}", file=sys.stderr)
        sys.exit(2)


main(sys.argv[1:])
