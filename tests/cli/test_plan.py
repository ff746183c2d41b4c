import json

import numpy as np
import pytest

import rnnframe as rf

from .conftest import Run

SMALL = ("--cell", "gru:hidden=8", "--inputs", 3, "--batch", 4, "--steps", 200)


def plans(run: Run, *words: object) -> dict[str, dict]:
    return {plan["asked"]: plan for plan in json.loads(run("plan", *SMALL, "--json", *words).out)["plans"]}


@pytest.mark.parametrize("stores", [(), ("--store", "checkpoint:policy=online,slots=3")])
def test_plan_predicts_what_a_run_holds_and_does(run: Run, stores: tuple[str, ...]) -> None:
    network = rf.Network(cells=["gru:hidden=8"], head="mse:outputs=1", inputs=3)
    x, y = np.zeros((200, 4, 3)), np.zeros((200, 4, 1))
    for spec, plan in plans(run, "--chunk", 10, *stores).items():
        report = rf.Engine(network, spec, chunk=10).gradients(x, y).report
        assert plan["predicted_bytes"] == report.peak_bytes
        assert plan["forward_steps"] == report.forward_steps
        assert plan["exact"] is report.exact
        assert plan["predicted_seconds"] > 0


def test_plan_counts_what_all_threads_hold(run: Run) -> None:
    network = rf.Network(cells=["gru:hidden=8"], head="mse:outputs=1", inputs=3)
    x, y = np.zeros((200, 4, 3)), np.zeros((200, 4, 1))
    for spec, plan in plans(run, "--shards", 3).items():
        report = rf.Engine(network, spec, shards=3).gradients(x, y).report
        assert plan["predicted_bytes"] == report.peak_bytes
        assert plan["chunk"] == report.chunk


def test_ranks_share_the_bytes_and_pay_for_the_network(run: Run) -> None:
    alone = plans(run, "--kernels", "numpy")["full-history"]
    fast, slow = (
        plans(run, "--kernels", "numpy", "--ranks", 4, "--network", link)["full-history"]
        for link in ("100Gb:latency=2us", "1Mb")
    )
    network = rf.Network(cells=["gru:hidden=8"], head="mse:outputs=1", inputs=3)
    share = rf.Engine(network, "full-history", shards=4, kernels="numpy").run_plan(200, 4).shards[0]
    assert fast["predicted_bytes"] == share.predicted_bytes < alone["predicted_bytes"]
    assert fast["sent_bytes"] == slow["sent_bytes"] == 2 * network.parameters.nbytes * 3 / 4
    assert slow["network_seconds"] > slow["sent_bytes"] * 8e-6 > fast["network_seconds"]
    assert slow["efficiency"] < fast["efficiency"]
    table = run("plan", *SMALL, "--ranks", 4, "--network", "1Mb", "--kernels", "numpy").out
    assert "efficiency" in table
    assert "predicted for 4 machines like this one, 1 of 4 threads each" in " ".join(table.split())


def test_a_budget_adds_a_row_with_what_auto_would_choose(run: Run) -> None:
    plan = plans(run, "--budget", "30KiB", "--kernels", "numpy")["auto:budget=30KiB"]
    assert plan["predicted_bytes"] <= 30720
    assert plan["store"].startswith("checkpoint:budget=30KiB")


def test_the_table_has_a_row_for_every_store_and_says_which_are_exact(run: Run) -> None:
    lines = run("plan", *SMALL).out.splitlines()
    assert lines[0].split() == ["store", "chunk", "bytes", "forward/T", "time", "gradient"]
    assert {line.split(":")[0].split()[0] for line in lines[1:5]} == {"full-history", "checkpoint", "circular-queue"}
    assert [line.split()[-1] for line in lines[1:5]] == ["exact", "exact", "exact", "truncated"]
    assert lines[-1].startswith("parameters ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--budget", "lots"), "--budget 'lots' is invalid; expected bytes such as 64MiB"),
        (("--budget", "1KiB"), "no exact store fits into 1.0 KiB; the smallest budget that is enough is"),
        (("--cell", "gru:hidden=0"), "cell 'gru': 'hidden' must be >= 1: 0"),
        (("--steps", "0"), "0 is not in the range x>=1"),
        (("--ranks", 3, "--shards", 4), "--shards 4 cannot be shared by 3 ranks; expected 3, 6, 12, ..."),
        (("--ranks", 8), "--batch 4 has no sample for each of 8 threads; give at least --batch 8"),
        (("--ranks", 2, "--network", "fast"), "--network 'fast' is invalid; expected bits a second, such as 10Gb"),
    ],
)
def test_what_cannot_be_planned_is_one_clear_line(run: Run, words: tuple[str, ...], message: str) -> None:
    outcome = run("plan", *SMALL, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""


def test_two_directions_are_planned_without_stores_that_truncate(run: Run) -> None:
    cell, head = "bidirectional(gru:hidden=4)", "softmax:classes=3,at=last"
    told = json.loads(run("plan", "--cell", cell, "--head", head, "--steps", "40", "--batch", "4", "--json").out)
    assert {row["gradient"] for row in told["plans"]} == {"exact"}
