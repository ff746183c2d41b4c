import re

import attrs
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.plugin import Costs, StateStore, hookimpl
from rnnframe.schedules import Grid
from rnnframe.sizes import ByteSize, human_bytes

STEPS, BATCH = 80, 4


def network(seed: int = 0) -> rf.Network:
    return rf.Network(cells=["lstm:hidden=12"], head="mse:outputs=2", inputs=3, seed=seed)


def data(steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.standard_normal((steps, BATCH, 3), np.float32), rng.standard_normal((steps, BATCH, 2), np.float32)


def smallest(shards: int = 1) -> int:
    """Return the smallest budget, read off the refusal of one byte a shard."""
    with pytest.raises(OptionError) as refusal:
        rf.Engine(network(), store=f"auto:budget={shards}", shards=shards).gradients(*data())
    return int(str(refusal.value).rpartition("budget=")[2].removesuffix(")"))


@given(st.integers(0, 150_000), st.integers(1, 3))
@example(0, 1)
@example(0, 3)
def test_whatever_the_budget_it_is_kept_and_the_gradient_is_exact(more: int, shards: int) -> None:
    budget = smallest(shards) + more
    engine = rf.Engine(network(), store=f"auto:budget={budget}", shards=shards)
    result = engine.gradients(*data())
    assert result.report.exact
    assert result.report.peak_bytes == result.report.predicted_bytes <= budget
    reference = rf.Engine(network(), chunk=result.report.chunk, shards=shards).gradients(*data())
    assert np.array_equal(result.gradients.flat, reference.gradients.flat)
    assert np.array_equal(result.state.flat, reference.state.flat)


def test_one_byte_less_than_the_smallest_budget_is_refused() -> None:
    with pytest.raises(OptionError, match="no exact store fits into"):
        rf.Engine(network(), store=f"auto:budget={smallest() - 1}").gradients(*data())


def test_a_larger_budget_is_never_more_work() -> None:
    forward = [
        rf.Engine(network(), store=f"auto:budget={budget}", chunk=8).gradients(*data()).report.forward_steps
        for budget in range(smallest() + 20_000, 800_000, 60_000)
    ]
    assert forward == sorted(forward, reverse=True)
    assert forward[-1] == STEPS


def test_room_for_everything_means_full_history() -> None:
    assert rf.Engine(network(), store="auto:budget=1GB").gradients(*data()).report.store == "full-history"
    assert rf.Engine(network(), store="auto").gradients(*data()).report.store == "full-history"


def test_a_chunk_length_that_was_asked_for_is_kept() -> None:
    report = rf.Engine(network(), store="auto:budget=100KiB", chunk=7).gradients(*data()).report
    assert report.chunk == 7


def test_the_choice_is_the_same_every_time() -> None:
    stores = {rf.Engine(network(), store="auto:budget=64KiB").gradients(*data()).report.store for _ in range(5)}
    assert len(stores) == 1


def test_truncated_stores_are_never_chosen() -> None:
    """A store that keeps nothing would be the least work of all."""

    class Careless(type(rf.store("full-history"))):
        name = "careless"
        exact = False

        @classmethod
        def fit(cls, grid: Grid, costs: Costs, budget: int) -> StateStore:
            raise AssertionError("a truncated store was asked")

    class Plugin:
        @hookimpl
        def rnnframe_state_stores(self):
            return [attrs.frozen(kw_only=True)(Careless)]

    registry = rf.Registry.installed()
    registry.register(Plugin(), "careless")
    report = rf.Engine(network(), store="auto:budget=64KiB", registry=registry).gradients(*data()).report
    assert report.store.startswith("checkpoint")


def test_a_stream_is_refused_since_its_length_decides() -> None:
    with pytest.raises(OptionError, match="needs the length in advance"):
        rf.Engine(network(), store="auto:budget=1MiB").gradients(iter([data()]), None)


@given(st.sampled_from(["uniform", "revolve"]), st.integers(0, 300_000), st.integers(1, 20))
def test_checkpoints_keep_to_their_own_budget_or_name_the_smallest(policy: str, budget: int, chunk: int) -> None:
    engine = rf.Engine(network(), store=f"checkpoint:policy={policy},budget={budget + 1}", chunk=chunk)
    try:
        held = engine.plan(STEPS, BATCH).predicted_bytes
    except OptionError as refusal:
        needed = int(re.search(r"\(budget=(\d+)\)", str(refusal))[1])
        assert needed > budget + 1
        held, refused = (
            rf.Engine(network(), store=f"checkpoint:policy={policy},budget={bytes}", chunk=chunk)
            for bytes in (needed, needed - 1)
        )
        assert held.plan(STEPS, BATCH).predicted_bytes == needed
        with pytest.raises(OptionError, match=rf"is enough is .*\(budget={needed}\)"):
            refused.plan(STEPS, BATCH)
    else:
        assert held is not None
        assert held <= budget + 1


@pytest.mark.parametrize(
    ("text", "count"),
    [("64", 64), ("64B", 64), ("1KiB", 1024), ("1kb", 1000), ("1.5 MiB", 1572864), ("2g", 2 * 2**30), ("1TB", 10**12)],
)
def test_sizes_are_read_with_their_units(text: str, count: int) -> None:
    assert ByteSize.read(text) == count


@pytest.mark.parametrize("text", ["", "MiB", "1 MiB 2", "-1", "1e3", "1.2.3", "one", "1Mib/s"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ByteSize.read(text)


def test_sizes_are_written_as_people_read_them() -> None:
    assert [human_bytes(n) for n in (0, 1023, 1024, 5872026, 2**31, None)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.6 MiB",
        "2.0 GiB",
        "no bound",
    ]


@given(st.integers(2, 200), st.integers(1, 60), st.integers(1, 200))
def test_a_budget_is_filled_with_tapes_that_are_not_recomputed(chunks: int, tape: int, room: int) -> None:
    """With room for r of n tapes beside a state for every further r chunks, n - r chunks are run twice."""
    room = min(room, chunks)
    states = -(-chunks // room) - 1
    costs = Costs(snapshot=1, tape=tape)
    least = min((-(-chunks // k) - 1) + k * tape for k in range(1, chunks + 1))
    budget = max(least, states + room * tape)
    grid = Grid(chunks, (1,))
    simulation = rf.simulate(rf.store(f"checkpoint:budget={budget}").schedule(grid, costs), grid)
    assert costs.held(simulation) <= budget
    assert simulation.forward_chunks <= 1.02 * (2 * chunks - room)


@pytest.mark.parametrize("shards", [1, 2, 4])
@pytest.mark.parametrize("policy", ["uniform", "revolve"])
def test_a_budget_is_that_of_all_shards_together(policy: str, shards: int) -> None:
    engine = rf.Engine(network(), store=f"checkpoint:policy={policy},budget=200KiB", shards=shards, chunk=5)
    report = engine.gradients(*data()).report
    assert report.shards == shards
    assert report.peak_bytes == report.predicted_bytes <= 200 * 1024
