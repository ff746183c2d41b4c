import json

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.inspection.needs import dependencies_of

from .conftest import Run


def needs(spec: str) -> dict[str, set[str]]:
    return {need.array: set(need.gradients) for need in dependencies_of(rf.cell(spec), inputs=3)}


def test_the_simple_network_needs_what_its_formulas_say() -> None:
    """dz_t = dh_t ∘ f'(h_t); dU = x_tᵀ dz_t; dW = h_(t-1)ᵀ dz_t; db = dz_t; dx_t = dz_t Uᵀ; dh_(t-1) = dz_t Wᵀ."""
    assert needs("elman:hidden=4") == {
        "x_t": {"dU"},
        "h_(t-1)": {"dW"},
        "h_t": {"dU", "dW", "db", "dx_t", "dh_(t-1)"},
        "U": {"dx_t"},
        "W": {"dh_(t-1)"},
        "b": set(),
    }


def test_a_slope_that_only_compares_needs_its_array_too() -> None:
    """The slope of relu is h_t > 0, which is false for NaN and for the wrong sign."""
    assert needs("elman:hidden=4,activation=relu")["h_t"] == {"dU", "dW", "db", "dx_t", "dh_(t-1)"}


def test_a_linear_cell_needs_no_state_for_its_slope() -> None:
    assert needs("elman:hidden=4,activation=identity")["h_t"] == set()


def test_the_lstm_needs_its_gates_and_cell_states_for_everything_and_its_bias_for_nothing() -> None:
    found = needs("lstm:hidden=4")
    assert found["gates_t"] == {"dU", "dW", "db", "dx_t", "dh_(t-1)", "dc_(t-1)"}
    assert found["h_(t-1)"] == {"dW"}
    assert found["h_t"] == found["b"] == set()


def test_with_the_reset_before_the_product_the_gru_needs_w_for_its_own_gradient() -> None:
    assert "dW" not in needs("gru:hidden=4")["W"]
    assert "dW" in needs("gru:hidden=4,reset=before")["W"]


def test_a_cell_that_leaves_more_than_it_needs_is_found_out() -> None:
    lstm = type(rf.cell("lstm"))

    @attrs.frozen(kw_only=True)
    class Wasteful(lstm):
        name = "wasteful"

        def tape(self, inputs):
            return {**super().tape(inputs), "souvenir": 9}

    found = {need.array: need for need in dependencies_of(Wasteful(hidden=4), inputs=3)}
    assert found["souvenir_t"].gradients == ()
    assert found["souvenir_t"].values == 9


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "gru:reset=before"])
def test_explain_answers_for_every_cell(run: Run, cell: str) -> None:
    out = run("explain", cell).out
    assert "o_t, do_t" in out
    assert "never stored" in out
    rows = {row["array"]: row for row in json.loads(run("explain", cell, "--json", "--inputs", 5).out)["arrays"]}
    assert rows["x_t"]["bytes"] == 20
    assert "dV" in rows["h_t"]["needed_by"]
    assert rows["W"]["stores"]["circular-queue"] == "one copy, newer than the tapes"


def test_explain_tells_what_any_store_does(run: Run) -> None:
    stores = ("checkpoint:policy=revolve,slots=3", "circular-queue:k1=16,k2=48,weights=stored")
    words = (word for spec in stores for word in ("--store", spec))
    rows = {row["array"]: row["stores"] for row in json.loads(run("explain", "lstm", "--json", *words).out)["arrays"]}
    assert rows["gates_t"] == dict(zip(stores, ("recomputed", "kept for 48 steps"), strict=True))
    assert rows["U"][stores[1]] == "old ones kept while their tapes wait"


def test_explaining_leaves_no_warning_and_no_nan_behind() -> None:
    with np.errstate(all="raise"):
        first, second = (needs("gru:hidden=3") for _ in range(2))
    assert first == second


def test_two_directions_keep_two_tapes_and_no_store_that_truncates(run: Run) -> None:
    told = json.loads(run("explain", "bidirectional(gru:hidden=4)", "--inputs", "3", "--json").out)
    rows = {row["array"]: row for row in told["arrays"]}
    assert rows["forward.h_(t-1)"]["needed_by"] != rows["reverse.h_(t-1)"]["needed_by"]
    assert all("circular-queue" not in row["stores"] for row in rows.values())
    assert rows["y_t"]["stores"]["full-history"] == "rebuilt"
