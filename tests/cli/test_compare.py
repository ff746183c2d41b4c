import json

import numpy as np
import pytest

from rnnframe.inspection.comparison import difference

from .conftest import Run

SMALL = ("--cell", "gru:hidden=8", "--inputs", 3, "--batch", 4, "--steps", 150, "--chunk", 10)


def test_exact_stores_are_found_bit_identical_and_truncated_ones_are_not(run: Run) -> None:
    stores = ("checkpoint:slots=3", "checkpoint:policy=online,slots=2", "circular-queue:k1=10,k2=10")
    out = json.loads(run("compare", *SMALL, "--json", *(word for store in stores for word in ("--store", store))).out)
    reference, *checkpoints, queue = out["stores"]
    assert reference["store"] == "full-history"
    for checkpoint in checkpoints:
        assert (checkpoint["bit_identical"], checkpoint["relative_error"], checkpoint["exact"]) == (True, 0.0, True)
        assert checkpoint["cosine"] == pytest.approx(1)
    assert queue["bit_identical"] is queue["exact"] is False
    assert queue["relative_error"] > 1e-4
    assert queue["cosine"] < 1 - 1e-8
    for measured in out["stores"]:
        assert measured["predicted_bytes"] == measured["held_bytes"] > 0
        assert measured["seconds"] > 0
        assert measured["predicted_seconds"] > 0


def test_threads_are_compared_as_they_are_planned(run: Run) -> None:
    out = json.loads(run("compare", *SMALL, "--json", "--shards", 3, "--store", "checkpoint:slots=3").out)
    assert out["shards"] == 3
    for measured in out["stores"]:
        assert measured["predicted_bytes"] == measured["held_bytes"] > 0
        assert measured["bit_identical"]


def test_the_table_has_a_row_for_every_usual_store(run: Run) -> None:
    lines = run("compare", *SMALL).out.splitlines()
    assert all("bit-identical" in line for line in lines[1:4])
    assert "relative error" in lines[4]
    planned = run("plan", *SMALL).out.splitlines()
    assert [line.split()[0] for line in lines[:6]] == [line.split()[0] for line in planned[:6]]


def test_an_error_in_the_other_process_is_one_clear_line_here(run: Run) -> None:
    outcome = run("compare", *SMALL, "--store", "checkpoint:budget=1KiB")
    assert outcome.code == 2
    assert "store 'checkpoint' does not fit into 1.0 KiB" in outcome.err
    assert outcome.err.count("\n") == 1


def test_the_difference_of_gradients_is_relative_to_the_exact_one() -> None:
    error, cosine = difference(np.array([3.0, 5.0]), np.array([3.0, 4.0]))
    assert error == pytest.approx(0.2)
    assert cosine == pytest.approx(29 / (5 * 34**0.5))
