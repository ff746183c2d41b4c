"""A piece of each family of the campaign; `python -m tests.attack FOLDER` runs all of them, and prints the table."""

import sys

import pytest

from attack.campaign import run, table
from attack.families import FAMILIES, Family


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks, kills and reads /proc as Linux has them")
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_piece_of_each_family_finds_no_fault(family: Family) -> None:
    piece = run(family, 1)
    assert piece["failed"] == []
    assert piece["tried"] > 0


def test_the_table_adds_up_pieces_and_tells_what_failed() -> None:
    pieces = [
        {"family": "signals", "seed": seed, "version": "v1", "tried": 20, "failed": failed, "seconds": 3.0}
        for seed, failed in ((0, []), (1, ["7: other weights", "9: hangs"]))
    ]
    lines = table(pieces).splitlines()
    row = next(line.split() for line in lines if line.startswith("signals"))
    assert row == ["signals", "40", "40", "1", "1", "0,1", "v1", "6"]
    assert lines[-2:] == ["signals, seed 1: 7: other weights", "signals, seed 1: 9: hangs"]
