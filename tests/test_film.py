"""Films: every moment of every store, beside the simulator and beside a real run of the loop."""

import re
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.inspection.film import MOST_MOMENTS, film_of
from rnnframe.inspection.watched import watch

STORES = [
    "full-history",
    "states",
    "checkpoint",
    "checkpoint:slots=2",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=mixed,slots=5",
    "checkpoint:policy=online,slots=3",
    "checkpoint:medium=float16",
    "circular-queue:k1=2,k2=5",
    "circular-queue:k1=3,k2=7,weights=stored",
    "auto:budget=20KiB",
]


def small(**how):
    return rf.Network(cells=["elman:hidden=3"], head="mse:outputs=2", inputs=2, dtype="float64", **how)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(("steps", "chunk"), [(1, 1), (12, 1), (13, 2)])
def test_a_film_does_what_the_simulator_counts(store, steps, chunk):
    plan = rf.Engine(small(), store, chunk, shards=1).plan(steps, 1)
    film = film_of(plan)
    lengths = [stop - start for start, stop in map(plan.grid.span, range(plan.grid.chunks))]
    ran = [moment.chunk for moment in film.moments if moment.kind in ("forward", "tape")]
    reversed_ = [moment.chunk for moment in film.moments if moment.kind == "reverse"]
    assert sum(lengths[chunk] for chunk in ran) == plan.simulation.forward_steps
    assert sum(lengths[chunk] for chunk in reversed_) == plan.simulation.reverse_steps
    assert sum(moment.kind == "update" for moment in film.moments) == plan.simulation.updates
    assert sorted(moment.chunk for moment in film.moments if moment.kind == "reverse" and moment.counts) == list(
        range(plan.grid.chunks)
    )
    made = [buffer for moment in film.moments for buffer in moment.made]
    released = [buffer for moment in film.moments for buffer in moment.released]
    assert sorted(made, key=repr) == sorted(released, key=repr)


@pytest.mark.parametrize("store", STORES)
def test_every_moment_names_the_line_that_yielded_it(store):
    film = film_of(rf.Engine(small(), store, 1, shards=1).plan(12, 1))
    words = {"forward": "Forward(", "tape": "Forward(", "reverse": "Reverse(", "save": "Save(", "load": "Load("}
    words |= {"drop": "Drop(", "forget": "Forget(", "update": "Update("}
    for moment in film.moments:
        source, line = moment.line
        text = film.sources[source].lines[line]
        assert "yield" in text
        assert words[moment.kind] in text or "action" in text


@pytest.mark.parametrize("store", STORES)
def test_the_values_are_those_of_a_plain_recurrence_and_of_the_engine(store):
    network = small(seed=4)
    plan = rf.Engine(network, store, 1, shards=1).plan(9, 1)
    before = network.parameters.flat.copy()
    seen = watch(network, plan, 1)
    assert np.array_equal(network.parameters.flat, before)
    film = film_of(plan)
    ran = [moment.chunk for moment in film.moments if moment.kind in ("forward", "tape")]
    assert len(seen.states) == len(ran)
    assert len(seen.sums) == sum(moment.kind == "reverse" for moment in film.moments)
    if plan.simulation.updates:
        return  # the weights change on the way
    from rnnframe.inspection.comparison import batch_of

    x, y = batch_of(network, 9, 1)
    of, h, states = network.parameters.group("layer0"), np.zeros(3), []
    for t in range(9):
        h = np.tanh(x[t, 0] @ of["U"] + h @ of["W"] + of["b"])
        states.append(h)
    rounding = 0.01 if "float16" in store else 1e-12
    for chunk, state in zip(ran, seen.states, strict=True):
        assert np.abs(state[seen.output] - states[chunk]).max() < rounding
    wanted = rf.Engine(network, store, 1, shards=1).gradients(x, y)
    assert np.allclose(seen.sums[-1]["layer0.W"] / wanted.count, wanted.gradients["layer0.W"], rtol=1e-12)


def test_a_schedule_that_nobody_could_watch_is_refused():
    with pytest.raises(OptionError, match=f"more than {MOST_MOMENTS:,} moments"):
        film_of(rf.Engine(small(), "full-history", 1, shards=1).plan(5000, 1))
    with pytest.raises(OptionError, match="unknown length"):
        film_of(rf.Engine(small(), "circular-queue", 1, shards=1).plan(None, 1))


def test_the_moments_that_the_pages_link_to_show_what_the_pages_say(monkeypatch):
    root = Path(__file__).parent.parent / "docs"
    monkeypatch.syspath_prepend(str(root / "_ext"))
    import films

    pages = " ".join(page.read_text() for page in (root / "explanation").glob("*.md"))
    linked = set(re.findall(r"films/(\w+)\.html\?moment=(\d+)", pages))
    assert linked == {("question", "6"), ("question", "7"), ("question", "12")} | {
        ("queue", "13"),
        ("queue", "14"),
        ("queue", "15"),
    }
    question = film_of(films.plan("full-history", 6)).moments
    assert [moment.kind for moment in question] == ["tape"] * 6 + ["reverse"] * 6
    queue = film_of(films.plan(*[store for (store,), _ in [films.FILMS["queue"]]], films.FILMS["queue"][1])).moments
    forgotten, update, used_again = queue[12:15]
    assert [moment.kind for moment in (forgotten, update, used_again)] == ["forget", "update", "tape"]
    assert [buffer.place for buffer in forgotten.released] == [buffer.place for buffer in used_again.made]
    made = {buffer.chunk for moment in queue[:14] for buffer in moment.made}
    assert len(made - {buffer.chunk for moment in queue[:14] for buffer in moment.released}) == 3
