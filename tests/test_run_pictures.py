"""The picture of runs: what it draws, what it says, and that no text covers another."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason='the pictures need matplotlib: pip install "rnnframe[plot]"')

# Below the skip, as these import matplotlib.
from layout import check_layout, texts

from rnnframe.drawing.references import Drawn
from rnnframe.drawing.runs import LOOKS, MEANS, MOST, SHADES, runs_figure
from rnnframe.runs.metrics import Metrics


def metrics(updates=50, scale=1.0, measures=(), valid=5, **curves):
    """Return metrics of a run; a curve that is given replaces the usual one, None is no curve at all."""
    x = np.arange(1.0, updates + 1)
    usual = {
        "loss": scale * (1 + np.exp(-x / 20)),
        "learning_rate": 0.01 / x,
        "gradient_norm": scale * (1 + np.sin(x) / 2),
        "throughput": 1000 + 0 * x,
        "memory": 2.0**20 + 0 * x,
    }
    made = Metrics(
        path=Path("metrics.jsonl"), batches=updates, updates=updates, steps=100 * updates, seconds=0.5 * updates
    )
    for name, values in (usual | curves).items():
        if values is not None:
            getattr(made, name).extend(x, np.asarray(values))
    ends = np.linspace(updates / max(valid, 1), updates, valid)
    made.valid_loss.extend(ends, scale * (1.1 + np.exp(-ends / 20)))
    for name in measures:
        made.measures[name] = type(made.loss)()
        made.measures[name].extend(ends, ends / updates)
    return made


def drawn(name="run1", loss="loss (nats/char)", **of):
    return Drawn(name, loss, metrics(**of))


PICTURES = {
    "one run": [drawn()],
    "one batch": [drawn(updates=1, valid=0)],
    "two runs of different length": [drawn(), drawn("run2", updates=3000)],
    "as many as there are looks, with long names": [drawn(f"{n}-{'long' * 14}", scale=1 + n / 4) for n in range(MOST)],
    "a million updates": [drawn(updates=1_000_000)],
    "several tasks": [
        drawn(),
        drawn("classify", "loss (nats)", measures=["accuracy", "balanced accuracy"]),
        drawn("forecast", "loss (variance)", scale=1e-6, measures=["skill"]),
    ],
    "large numbers": [drawn(scale=1e12, throughput=np.full(50, 3e9), memory=np.full(50, 5e12))],
    "small numbers of many magnitudes": [
        Drawn("run", "loss (nats)", metrics(loss=10.0 ** -np.linspace(1, 12, 50), gradient_norm=np.full(50, 1e-9)))
    ],
    "little recorded": [drawn(throughput=None, memory=None, learning_rate=None)],
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("over", ["updates", "seconds"])
def test_no_text_covers_another_or_leaves_the_page(name, over):
    check_layout(runs_figure(PICTURES[name], over))


def panel(figure, title):
    (found,) = (axes for axes in figure.axes if axes.get_title(loc="left").startswith(title))
    return found


def marks(axes, kind):
    return [mark for mark in (*axes.lines, *axes.collections) if mark.get_gid() == kind]


def test_a_picture_names_its_panels_its_runs_and_its_axis():
    said = {text for text, _ in texts(runs_figure([drawn("one"), drawn("two", measures=["accuracy"])], "steps"))}
    assert said >= {
        "Training of 2 runs",
        "loss (nats/char)",
        "accuracy, validation",
        "learning rate",
        "gradient norm",
        "steps / s",
        "store holds",
        "steps, of all samples",
        "training",
        "validation",
        "one",
        "two",
        "each batch as it is",
    }


def test_a_short_run_is_drawn_batch_by_batch():
    figure = runs_figure([drawn(updates=50)], "updates")
    (line,) = marks(panel(figure, "loss"), "line")
    assert line.get_xdata().tolist() == list(range(1, 51))
    assert line.get_ydata() == pytest.approx([1 + math.exp(-n / 20) for n in range(1, 51)])
    assert not marks(panel(figure, "loss"), "shade")


def test_a_long_run_is_drawn_as_means_in_a_shade_that_shows_every_spike():
    spiked = np.ones(100_000)
    spiked[54_321] = 7.0
    figure = runs_figure([drawn(updates=100_000, gradient_norm=spiked)], "updates")
    axes = panel(figure, "gradient norm")
    (line,), (shade,) = marks(axes, "line"), marks(axes, "shade")
    assert len(line.get_xdata()) <= MEANS
    corners = shade.get_paths()[0].vertices
    assert len(corners) <= 2 * SHADES + 3
    assert corners[:, 1].max() == 7.0
    assert any(text.startswith("lines: means over up to") for text, _ in texts(figure))


def test_runs_of_one_unit_share_a_panel_and_others_have_their_own():
    figure = runs_figure([drawn(), drawn("two"), drawn("three", "loss (variance)")], "updates")
    assert len(marks(panel(figure, "loss (nats/char)"), "line")) == 2
    (line,) = marks(panel(figure, "loss (variance)"), "line")
    assert line.get_color() == LOOKS[2][0]  # as in the other panels
    assert len(marks(panel(figure, "gradient norm"), "line")) == 3


def test_what_no_record_told_says_so():
    figure = runs_figure(PICTURES["little recorded"], "updates")
    assert [text for text, _ in texts(figure)].count("not recorded") == 3


def test_any_two_looks_differ_in_dashes_and_marker():
    for (_, dashes, marker), (_, others, other) in itertools.combinations(LOOKS, 2):
        assert dashes != others
        assert marker != other


def with_references(**of):
    """Return a run of a forecast, whose naive error is the same at every evaluation."""
    run = drawn("forecast", "loss (variance)", measures=["error", "seasonal-naive", "rms error"], **of)
    naive = type(run.metrics.loss)()
    naive.extend(np.linspace(10, 50, 5), np.full(5, 0.7))
    run.metrics.measures["seasonal-naive"] = naive
    return run


def test_a_naive_forecast_is_a_line_in_the_panel_of_the_error_beside_it():
    figure = runs_figure([with_references()], "updates")
    (line,) = marks(panel(figure, "error, validation"), "reference")
    assert set(line.get_ydata()) == {0.7}
    assert not [axes for axes in figure.axes if axes.get_title(loc="left").startswith("seasonal-naive")]
    assert "seasonal-naive" in {text for text, _ in texts(figure)}
    check_layout(figure)


def test_the_loss_of_guessing_stands_in_the_panel_of_its_own_task():
    # given two tasks whose losses differ in unit, each with the loss of guessing
    runs = []
    for name, unit, value in (("copy", "nats", 0.6), ("adding", "squared error", 0.17)):
        run = drawn(name, f"loss ({unit})", measures=["guessing"])
        guessing = type(run.metrics.loss)()
        guessing.extend(np.linspace(10, 50, 5), np.full(5, value))
        run.metrics.measures["guessing"] = guessing
        runs.append(run)
    figure = runs_figure(runs, "updates")
    for unit, value in (("nats", 0.6), ("squared error", 0.17)):
        (line,) = marks(panel(figure, f"loss ({unit})"), "reference")
        assert set(line.get_ydata()) == {value}


def test_first_batches_do_not_squeeze_the_rest():
    loss = np.concatenate([np.full(5, 40.0), np.linspace(2, 1, 995)])
    figure = runs_figure([Drawn("run", "loss (nats)", metrics(updates=1000, loss=loss))], "updates")
    axes = panel(figure, "loss")
    assert axes.get_ylim()[1] < 3
    assert "first batches up to 40" in {text for text, _ in texts(figure)}
    check_layout(figure)


def test_many_tasks_make_a_picture_that_fits_a_screen_and_a_half():
    runs = [drawn(str(n), f"loss ({n})", measures=[f"a{n}", f"b{n}"]) for n in range(4)]
    figure = runs_figure(runs, "updates")
    assert figure.get_figheight() * figure.dpi < 2600
    check_layout(figure)
