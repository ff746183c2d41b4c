"""Ranks that share a batch give, to the last bit, what one process with as many shards gives."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_groups import each_rank

import rnnframe as rf
from rnnframe.arrays.tree import add_in_tree, add_in_tree_into
from rnnframe.data.batch import Batch
from rnnframe.engine.inference import Inference
from rnnframe.engine.parts_inference import PartsInference
from rnnframe.engine.ranks import Share, parts_of_each
from rnnframe.errors import GroupError, NonFiniteError, OptionError
from rnnframe.runs.scoring import score

CUTS = [(2, 2), (3, 1), (4, 1)]
"""Ranks, and parts of each."""
ALL_CUTS = [*CUTS, (2, 1), (3, 2), (4, 2), (5, 1)]
CELLS = [f"{cell}:hidden=5" for cell in ("elman", "gru", "lstm", "peephole-lstm", "mingru", "minlstm", "indrnn")]
CELLS += ["lru:units=5", "rglru", "linear-attention:heads=2,keys=3,values=2", "selective-ssm:states=3,rank=2"]
CELLS += [
    "slstm:hidden=5",
    "convolution:taps=3",
    "attention-pool",
    "gru:hidden=4,recurrent_dropout=0.3,weight_drop=0.2",
]
EXACT = ["full-history", "full-history:keep=lean", "states", "auto:budget=4MiB"]
EXACT += ["checkpoint:slots=2", "checkpoint:policy=revolve,slots=2", "checkpoint:policy=mixed,slots=3"]
TRUNCATED = ["circular-queue:k1=4,k2=8", "circular-queue:k1=4,k2=12,weights=stored"]
STEPS, BATCH, WIDTH = 13, 11, 3


def values(seed: int, steps: int = STEPS, batch: int = BATCH):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((steps, batch, WIDTH), np.float32)
    return x, rng.standard_normal((steps, batch, 2), np.float32)


def trained(group: rf.Engine | None, shards: int, cells: list[str], store: str, **more: object):
    """Return all that must have the same bits after some batches: losses, counts, norms, states, parameters, slots."""
    lengths, carry, accumulate = bool(more.get("lengths")), bool(more.get("carry")), int(more.get("accumulate", 1))
    batches = more.get("batches", [BATCH] * 3)
    network = rf.Network(cells=cells, head="mse:outputs=2", inputs=WIDTH, seed=1)
    engine = rf.Engine(network, store=store, chunk=4, shards=shards, seed=5, group=group, kernels="numpy")
    trainer = rf.Trainer(engine, "adam:lr=1e-2", clip=0.05, accumulate=accumulate)
    seen, state = [], None
    for number, batch in enumerate(batches):
        x, y = values(number, batch=batch)
        ends = np.random.default_rng(number).integers(3, STEPS + 1, batch) if lengths and number != 1 else None
        weights = np.random.default_rng(number).uniform(0, 2, batch) if more.get("weights") else None
        result = trainer.step(x, y, state, ends, weights=weights)
        state = result.state if carry else None
        whole = engine.complete_state(result.state)
        seen += [result.loss, result.count, result.gradient_norm, whole.flat.tobytes()]
    trainer.finish()
    return seen, network.parameters.flat.tobytes(), trainer.slots.flat.tobytes(), trainer.updates


CASES = {
    "elman": (["elman:hidden=5"], "full-history", {}),
    "two layers": (["gru:hidden=4", "lstm:hidden=5"], "checkpoint:slots=2", {}),
    "carried": (["lstm:hidden=5"], "full-history", {"carry": True}),
    "lengths": (["gru:hidden=5"], "full-history", {"lengths": True}),
    "lengths, carried": (["lstm:hidden=5"], "states", {"lengths": True, "carry": True}),
    "windows": (["lstm:hidden=5"], "circular-queue:k1=4,k2=8", {"carry": True}),
    "windows, old weights": (["elman:hidden=5"], "circular-queue:k1=4,k2=8,weights=stored", {}),
    "dropout": (
        ["dropout:rate=0.4", "gru:hidden=5,recurrent_dropout=0.3,weight_drop=0.2"],
        "checkpoint:slots=2",
        {"lengths": True},
    ),
    "accumulation": (["gru:hidden=5"], "full-history", {"accumulate": 2, "carry": True}),
    "weights": (["gru:hidden=5"], "full-history", {"weights": True, "lengths": True}),
    "small batches": (["gru:hidden=5"], "circular-queue:k1=4,k2=8", {"batches": [BATCH, 3, 1, 7]}),
}


@pytest.mark.parametrize("case", CASES)
def test_ranks_give_the_bits_of_one_process_with_as_many_shards(case: str) -> None:
    cells, store, more = CASES[case]
    check(CUTS, cells, store, **more)


@pytest.mark.slow
@pytest.mark.parametrize("store", [*EXACT, *TRUNCATED])
@pytest.mark.parametrize("cell", CELLS)
def test_all_cells_and_stores_give_them_at_every_cut(cell: str, store: str) -> None:
    cells = [cell, "dropout:rate=0.3"]
    check(ALL_CUTS, cells, store, carry=True, batches=[BATCH, BATCH, BATCH])
    if store in EXACT:
        check(ALL_CUTS, cells, store, carry=True, lengths=True, accumulate=2, weights=True)


def check(cuts: list[tuple[int, int]], cells: list[str], store: str, **more: object) -> None:
    for ranks, each in cuts:
        alone = trained(None, ranks * each, cells, store, **more)
        for other in each_rank(ranks, lambda g: trained(g, ranks * each, cells, store, **more)):  # noqa: B023
            assert other == alone


@given(st.integers(1, 40), st.integers(0, 5), st.sampled_from(["float32", "float64"]))
@settings(max_examples=60, deadline=None)
def test_a_sum_over_ranks_is_the_tree_over_all_parts(parts: int, power: int, dtype: str) -> None:
    each = 1 << power
    terms = np.random.default_rng(parts).standard_normal((parts, 7)).astype(dtype)
    whole = add_in_tree(list(terms.copy()), lambda a, b: np.add(a, b, out=a))
    ranks = [
        add_in_tree(list(terms[n : n + each].copy()), lambda a, b: np.add(a, b, out=a)) for n in range(0, parts, each)
    ]
    assert add_in_tree(ranks, lambda a, b: np.add(a, b, out=a)).tobytes() == whole.tobytes()
    for place in (*range(parts), None):  # one of the terms, or another array
        rows = list(terms.copy())
        out = np.empty(7, dtype) if place is None else rows[place]
        add_in_tree_into(out, rows)
        assert out.tobytes() == whole.tobytes()
    exact = terms.astype(np.longdouble).sum(axis=0)
    np.testing.assert_allclose(whole, exact, rtol=0, atol=float(np.finfo(dtype).eps) * 4 * parts)


def test_sums_go_through_slices_and_every_rank_gets_the_same_bits() -> None:
    terms = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)

    def work(group):
        values = terms[group.rank].copy()
        group.sum(values, ranks=4)
        sent, small = group.sent_bytes, terms[group.rank, :2].copy()
        group.sum(small)
        return values, sent, small, group.gather({"rank": group.rank}), group.tell("x" * 3000 * (group.rank + 1))

    wanted = (terms[0] + terms[1]) + (terms[2] + terms[3])
    for rank, (values, sent, small, gathered, told) in enumerate(each_rank(5, work)):
        assert values.tobytes() == wanted.tobytes()
        own = 4 * (8 * (rank + 1) // 5 - 8 * rank // 5)
        assert sent == (32 - own if rank < 4 else 0) + 4 * own  # slices to the others, and the own sum to the others
        assert (
            small.tobytes() == ((terms[0, :2] + terms[1, :2]) + (terms[2, :2] + terms[3, :2]) + terms[4, :2]).tobytes()
        )
        assert gathered == [{"rank": n} for n in range(5)]
        assert told == "x" * 3000


def test_gradients_and_states_are_of_the_whole_batch_on_every_rank() -> None:
    x, y = values(3)

    def work(group):
        network = rf.Network(cells=["lstm:hidden=5"], head="mse:outputs=2", inputs=WIDTH, seed=1)
        result = rf.Engine(network, shards=4, group=group, kernels="numpy").gradients(x, y)
        return [v.flat.tobytes() for v in (result.gradients, result.state, result.state_gradient)], result.report

    ((alone, report),) = each_rank(1, work)
    for found, of_rank in each_rank(2, work):
        assert found == alone
        assert (of_rank.shards, of_rank.batch, of_rank.steps) == (4, BATCH, STEPS)
        assert of_rank.peak_bytes == of_rank.predicted_bytes < report.predicted_bytes


def test_a_loss_that_is_not_finite_is_the_same_error_on_every_rank() -> None:
    x, y = values(3)
    y = y.astype(np.float64)
    y[5, -1] = 1e200  # a sample of the last rank, whose square is infinite
    told = []

    def work(group):
        network = rf.Network(cells=["elman:hidden=5"], head="mse:outputs=2", inputs=WIDTH, dtype="float64")
        with pytest.raises(NonFiniteError) as error:
            rf.Engine(network, group=group, kernels="numpy").gradients(x, y)
        told.append(str(error.value))

    each_rank(3, work)
    assert len(told) == 3
    assert set(told) == {"the loss is inf; lower the learning rate, clip the gradients, or check the data"}


@pytest.mark.parametrize(("shards", "ranks", "fit"), [(6, 2, "2, 4, 8"), (5, 2, "2, 4, 8"), (9, 3, "3, 6, 12")])
def test_shards_that_ranks_cannot_share_are_refused(shards: int, ranks: int, fit: str) -> None:
    with pytest.raises(OptionError, match=re.escape(f"shards={shards} cannot be shared by {ranks} ranks")) as error:
        each_rank(ranks, lambda group: parts_of_each(shards, group))
    assert f"{fit}, ..." in str(error.value)


def test_a_stream_is_refused_where_ranks_share_a_batch() -> None:
    network = rf.Network(cells=["elman:hidden=5"], head="mse:outputs=2", inputs=WIDTH)

    def work(group):
        rf.Engine(network, group=group, kernels="numpy").gradients(iter([values(0)]), None)

    with pytest.raises(OptionError, match="a stream is read once, by one process"):
        each_rank(2, work)


def test_a_rank_without_samples_runs_along_and_counts_for_nothing() -> None:
    def work(group):
        share = Share(group, 2, [slice(n, n + 1) for n in range(5)])
        return share.active, share.counts, share.parts

    assert each_rank(4, work) == [
        (3, True, slice(0, 2)),
        (3, True, slice(2, 4)),
        (3, True, slice(4, 5)),
        (3, False, slice(4, 5)),
    ]


TASKS = {
    "carried": {"task": "characters", "data": "book.txt", "steps": 16, "batch": 6},
    "measured": {"task": "adding:length=7,samples=40,judged=11", "batch": 10},
    "classes": {"task": "classify", "data": "series.jsonl", "batch": 10},
    "averaged": {"task": "adding:length=7,samples=40,judged=11", "batch": 10, "average": "ema:decay=0.9"},
}


@pytest.mark.parametrize("case", TASKS)
def test_evaluation_is_shared_and_all_ranks_have_one_verdict_with_the_bits_of_one_process(case: str, tmp_path) -> None:
    (tmp_path / "book.txt").write_text("it was the best of times, it was the worst of times " * 40)
    rng = np.random.default_rng(0)
    rows = [{"x": rng.standard_normal((int(rng.integers(3, 9)), 1)).tolist(), "y": "ab"[n % 2]} for n in range(60)]
    (tmp_path / "series.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = dict(TASKS[case])
    if "data" in words:
        words["data"] = str(tmp_path / words["data"])

    def trained_and_judged(group):
        options = rf.TrainingOptions(cell="gru:hidden=5", shards=4, epochs=2, kernels="numpy", **words)
        with rf.Training(options, group=group) as training:
            training.fit()
            now = training.progress
            found = now.valid_loss, now.measures, now.best, training.evaluate(), training.model.network.parameters.flat
            whole = score(Inference(training.trainer.averaged, kernels="numpy"), training.data.valid)
        return (*found[:3], found[3].loss, found[3].count, found[4].tobytes()), whole

    ((alone, whole),) = each_rank(1, trained_and_judged)
    for ranks in (2, 4):
        for found, _ in each_rank(ranks, trained_and_judged):
            assert found == alone
    loss, measures, *_, count, _ = alone
    assert loss == pytest.approx(whole.loss, rel=1e-6)  # the whole batches in one pass
    assert count == whole.count
    assert measures == pytest.approx(dict(whole.measures), rel=1e-6)


def test_predictions_and_losses_of_steps_are_put_together_from_the_parts_of_all_ranks() -> None:
    x, y = values(4)
    ends = np.random.default_rng(1).integers(3, STEPS + 1, BATCH)
    network = rf.Network(cells=["gru:hidden=5"], head="mse:outputs=2", inputs=WIDTH, seed=1)
    whole = Inference(network, kernels="numpy")
    judged, outputs, losses = whole.judge_steps(Batch(x, y, ends))

    def work(group):
        shared = PartsInference(network, None, "numpy", 4, group)
        first = shared.judge_steps(Batch(x, y, ends))
        predicted, after = shared.predict(x[:4])
        return first, predicted, shared.predict(x[4:], after)[0], shared.evaluate(x, y).loss

    predicted = whole.predict(x)[0]
    for ranks in (1, 2, 4):
        for (of_parts, *arrays), *halves, loss in each_rank(ranks, work):
            assert (of_parts.loss, of_parts.count) == (pytest.approx(judged.loss, rel=1e-6), judged.count)
            for found, wanted in zip([*arrays, np.concatenate(halves)], [outputs, losses, predicted], strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
            assert loss == pytest.approx(whole.evaluate(x, y).loss, rel=1e-6)


def test_a_loss_of_an_evaluation_that_is_not_finite_is_the_same_error_on_every_rank() -> None:
    x, y = values(4)
    y = y.astype(np.float64)
    y[5, -1] = 1e200
    network = rf.Network(cells=["gru:hidden=5"], head="mse:outputs=2", inputs=WIDTH, dtype="float64")

    def work(group):
        with pytest.raises(NonFiniteError, match="the loss is inf"):
            PartsInference(network, None, "numpy", 4, group).evaluate(x, y)

    each_rank(2, work)


@pytest.mark.parametrize("held_out", [0.0, 0.2])
def test_parameters_that_drift_apart_end_the_job_also_where_nothing_is_held_out(held_out: float, tmp_path) -> None:
    (tmp_path / "book.txt").write_text("it was the best of times, it was the worst of times " * 40)
    words = {"data": str(tmp_path / "book.txt"), "steps": 16, "batch": 4, "held_out": held_out, "cell": "gru:hidden=4"}

    def work(group):
        options = rf.TrainingOptions(task="characters", epochs=2, kernels="numpy", average="ema", **words)
        with rf.Training(options, group=group) as training:
            if group.rank == 1:
                training.trainer.engine.network.parameters.flat[3] += 1e-3
            training.fit()

    with pytest.raises(GroupError, match="the parameters of rank 1 on node1 are not those of rank 0 on node0"):
        each_rank(2, work)
