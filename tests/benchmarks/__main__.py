"""`python -m tests.benchmarks NAME [options]`."""

import sys

from tests.benchmarks import epoch, lengths, long, memory, scaling, speed, stream

MEASUREMENTS = {
    "epoch": epoch.main,
    "lengths": lengths.main,
    "memory": memory.main,
    "long": long.main,
    "scaling": scaling.main,
    "speed": speed.main,
    "stream": stream.main,
}

if len(sys.argv) < 2 or sys.argv[1] not in MEASUREMENTS:
    sys.exit(f"usage: python -m tests.benchmarks {{{','.join(MEASUREMENTS)}}} [options]")
MEASUREMENTS[sys.argv[1]](sys.argv[2:])
