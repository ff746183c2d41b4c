"""Run as a program: damage run folders, configurations and data files, and type commands that read them.

    python damaged.py SEED COUNT SECONDS FOLDER

The cases are those of `tests/fuzz`, from number SEED times a thousand on. Prints how many were tried, and what failed.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # tests/, as in pytest

from fuzz.test_fuzz import lay_out, try_case

from rnnframe.registry.registry import Registry, using


def main(seed: int, count: int, seconds: float, folder: Path) -> None:
    whole, place = folder / "whole", folder / "place"
    for each in (whole, place):
        each.mkdir()
    ends, tried, failed = time.monotonic() + seconds, 0, []
    sys.dont_write_bytecode = True
    with using(Registry.installed(disabled=["compiled"])):  # which writes down what it compiles
        lay_out(whole)
        os.chdir(place)  # where a trap that is sprung would make a folder
        for number in range(1000 * seed, 1000 * seed + count):
            if time.monotonic() > ends:
                break
            tried += 1
            try:
                try_case(number, whole, place)
            except AssertionError as failure:
                failed.append(str(failure).splitlines()[0][:600])
    if (place / "trapped").exists():
        failed.append("a trap was sprung")
    print(json.dumps({"tried": tried, "failed": failed}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]).resolve())
