"""What the pictures hold: their texts, their marks, and that no text covers another or leaves the page."""

import subprocess
import sys

import pytest

import rnnframe as rf
from rnnframe.inspection.array_storage import ScheduleSummary
from rnnframe.inspection.needs import dependencies_of
from rnnframe.inspection.timeline import timeline_of
from rnnframe.registry.specs import render

matplotlib = pytest.importorskip("matplotlib", reason='the pictures need matplotlib: pip install "rnnframe[plot]"')

# Below the skip, as these import matplotlib.
from layout import check_layout, texts  # noqa: E402

from rnnframe.drawing.comparison import Compared, comparison_figure  # noqa: E402
from rnnframe.drawing.front import Front, Point  # noqa: E402
from rnnframe.drawing.needs import needs_figure  # noqa: E402
from rnnframe.drawing.plans import plan_figure  # noqa: E402
from rnnframe.drawing.style import save, short_bytes, wrapped  # noqa: E402

USUAL = ("full-history", "checkpoint", "checkpoint:policy=revolve", "circular-queue")
MANY = (
    *USUAL,
    "checkpoint:slots=2",
    "checkpoint:slots=20",
    "checkpoint:policy=revolve,slots=3",
    "checkpoint:policy=revolve,slots=5",
    "circular-queue:k1=10,k2=100",
    "circular-queue:k1=64,k2=64,weights=stored",
    "checkpoint:budget=20MiB",
)


def picture(stores=USUAL, drawn="checkpoint", steps=1000, cells=("lstm:hidden=32",), chunk=None, budget=None):
    network = rf.Network(cells=list(cells), head="mse:outputs=1", inputs=4)
    plans = [rf.Engine(network, spec, chunk).plan(steps, 16) for spec in stores]
    points = tuple(  # seconds as if a step took a millisecond, forward and back
        Point(
            render(plan.store),
            plan.predicted_bytes,
            1e-3 * (plan.simulation.forward_steps + 2 * plan.simulation.reverse_steps),
            plan.store.exact,
        )
        for plan in plans
    )
    plan = rf.Engine(network, drawn, chunk).plan(steps, 16)
    return plan_figure(Front(points, budget), plan, 2.0), plan


PICTURES = {
    "the usual stores": {},
    "one store and one step": {"stores": USUAL[:1], "drawn": "full-history", "steps": 1},
    "a short sequence": {"steps": 100},
    "a long sequence": {"steps": 100_000, "drawn": "checkpoint:policy=revolve,slots=20"},
    "many stores": {"stores": MANY, "drawn": "checkpoint:policy=revolve,slots=8"},
    "a circular queue": {"drawn": "circular-queue:k1=32,k2=128,weights=stored"},
    "two layers and a budget": {"cells": ("lstm:hidden=32", "gru:hidden=16"), "budget": 2**21},
}


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_of_a_plan_covers_another_or_leaves_the_page(name):
    check_layout(picture(**PICTURES[name])[0])


def test_a_plan_names_its_axes_with_units_its_strategies_and_what_is_drawn():
    stores = ("full-history", "checkpoint:slots=4", "circular-queue")
    figure, _ = picture(stores, "checkpoint:policy=revolve,slots=8", budget=2**21)
    said = {text.replace("\n", "") for text, _ in texts(figure)}
    assert said >= {
        "predicted memory (log scale)",
        "predicted time (s, log scale)",
        "position in the sequence (steps)",
        "work done (forward steps; a reverse step counts 2)",
        "Schedule of checkpoint:policy=revolve,slots=8",
        "full-history",
        "checkpoint:slots=4",
        "circular-queue:k1=32,k2=128,weights=current",
        "exact gradient",
        "truncated or rounded gradient",
        "budget 2 MiB",
        "snapshot",
        "tape",
        "1,000 steps in chunks of 22, batch 16",
    }
    assert any(text.startswith("predicted peak ") for text in said)


def test_exact_and_truncated_strategies_have_different_markers():
    points = {line.get_label(): line for line in picture()[0].axes[0].lines}
    exact, truncated = points["exact gradient"], points["truncated or rounded gradient"]
    assert (len(exact.get_xdata()), len(truncated.get_xdata())) == (3, 1)
    assert exact.get_marker() != truncated.get_marker()


@pytest.mark.parametrize("spec", ["checkpoint:policy=revolve,slots=3", "circular-queue", "full-history"])
def test_a_timeline_has_a_line_for_every_run_and_a_bar_for_all_that_is_held(spec):
    figure, plan = picture(drawn=spec, steps=600)
    timeline = timeline_of(plan)
    drawn = {shape.get_gid(): len(shape.get_paths()) for shape in figure.axes[1].collections}
    things = [*timeline.runs, *timeline.bars]
    assert drawn == {kind: sum(one.kind == kind for one in things) for kind in {one.kind for one in things}}


def test_a_long_timeline_is_merged_and_says_so():
    figure, _ = picture(steps=100_000, drawn="checkpoint:policy=revolve,slots=8", chunk=25)
    assert sum(len(shape.get_paths()) for shape in figure.axes[1].collections) <= 2200
    (note,) = (text for text, _ in texts(figure) if "merged" in text)
    assert "runs as" in note
    assert "bars as" in note


def test_strategies_in_one_place_share_a_label():
    figure, _ = picture(stores=("checkpoint", "checkpoint:policy=uniform", "full-history"))
    assert sum("checkpoint" in text for text, _ in texts(figure)) == 2  # beside the point, and above the schedule


def compared(store="full-history", difference="bit-identical", above=99 * 2**20):
    return Compared(store, 100 * 2**20, 100 * 2**20, above, 0.28, 0.31, difference)


@pytest.mark.parametrize("rows", [1, 4, 9])
def test_a_comparison_writes_bytes_seconds_and_difference_beside_each_store(rows):
    long = compared("circular-queue:k1=32,k2=128,weights=stored", "relative error 0.0042, cosine 0.9999", None)
    figure = comparison_figure([compared()] * (rows - 1) + [long], "500 steps in chunks of 16, batch 32")
    check_layout(figure)
    said = [text.replace("\n", "") for text, _ in texts(figure)]
    assert said.count("predicted 100.0 MiB   held 100.0 MiB   above idle 99.0 MiB") == rows - 1
    assert said.count("predicted 100.0 MiB   held 100.0 MiB") == 1
    assert said.count("predicted 0.28 s   measured 0.31 s") == rows
    assert {"memory (log scale)", "time (s)", "relative error 0.0042, cosine 0.9999"} <= set(said)


@pytest.mark.parametrize(("cell", "stores"), [("lstm", USUAL), ("elman:hidden=3", ("circular-queue:weights=stored",))])
def test_an_explanation_marks_every_need_and_tells_every_fate(cell, stores):
    needs = dependencies_of(rf.cell(cell), 4)
    network = rf.Network(cells=[cell], head="mse:outputs=1", inputs=4)
    habits = {
        spec: ScheduleSummary.of(rf.Engine(network, spec, shards=1).plan(1000, 32), network.cells[0], 4)
        for spec in stores
    }
    fates = {spec: [of.fate(need) for need in needs] for spec, of in habits.items()}
    figure = needs_figure(cell, needs, 4, fates, "a note")
    check_layout(figure)
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "s"]
    assert len(marks) == sum(len(need.gradients) for need in needs)
    said = [" ".join(text.split()) for text, _ in texts(figure)]
    for need in needs:
        assert need.array in said
    for column in fates.values():
        assert {fate.words for fate in column} <= set(said)


@pytest.mark.parametrize("ending", [".png", ".svg"])
def test_a_picture_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path, ending):
    path = tmp_path / f"plan{ending}"
    path.write_bytes(b"old")
    save(comparison_figure([compared()], ""), path)
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path):
    with pytest.raises(rf.RnnframeError, match="cannot be written: No such file or directory"):
        save(comparison_figure([compared()], ""), tmp_path / "nowhere" / "x.png")


def test_drawing_leaves_matplotlib_as_it_was(tmp_path):
    code = (
        "import sys, pathlib, matplotlib\n"
        "before = matplotlib.rcParams.copy()\n"
        "from rnnframe.drawing.comparison import Compared, comparison_figure\n"
        "from rnnframe.drawing.style import save\n"
        "save(comparison_figure([Compared('a', 1, 1, 1, 1.0, 1.0, '')], ''), pathlib.Path(sys.argv[1]))\n"
        "assert matplotlib.rcParams.copy() == before\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.png")], check=True)


@pytest.mark.parametrize(("count", "text"), [(2**22, "4 MiB"), (1.5 * 2**30, "1.5 GiB"), (0, "0 B")])
def test_ticks_are_short(count, text):
    assert short_bytes(count) == text


def test_long_names_are_broken_between_options_and_cut_where_there_are_none():
    assert wrapped("checkpoint:policy=revolve,slots=8", 20) == "checkpoint:\npolicy=revolve,\nslots=8"
    assert wrapped("full-history") == "full-history"
    assert max(map(len, wrapped("x" * 100).split("\n"))) <= 38
