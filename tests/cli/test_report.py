"""`rnnframe report`: the table, the JSON, the picture, and what it refuses."""

import json
import math
import re
import time
from pathlib import Path

import pytest
from browsing import chromium, expect_silence

from rnnframe.runs.folder import RunFolder

from .conftest import Run


def run_folder(path: Path, updates: int = 30, config: str = "", **values: object) -> Path:
    """Write a run of two epochs as `rnnframe train` would."""
    path.mkdir()
    (path / "config.toml").write_text(config)
    records: list[dict[str, object]] = []
    for update in range(1, updates + 1):
        loss = 1 + math.exp(-update / 10)
        numbers = {"loss": loss, "gradient_norm": 1.0, "learning_rate": 0.01, "steps": 64, "seconds": 0.5}
        records.append({"kind": "batch", "update": update, "peak_bytes": 2**20} | numbers | values)
        if update % (updates // 2) == 0:
            records.append({"kind": "epoch", "epoch": 2 * update // updates, "train_loss": loss, "valid_loss": loss})
    (path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_the_table_has_a_row_a_run(run: Run, tmp_path: Path) -> None:
    one, two = run_folder(tmp_path / "one"), run_folder(tmp_path / "two", updates=600)
    outcome = run("report", one, two)
    assert (outcome.code, outcome.err) == (0, "")
    head, first, second = (" ".join(line.split()) for line in outcome.out.splitlines())
    assert head == "run epochs updates loss training validation best unit steps/s time store holds"
    assert first == f"{one} 2 30 1.05 1.05 1.05 1.05 at 30 nats/char 128 15 s 1.0 MiB"
    assert second == f"{two} 2 600 1 1 1 1 at 600 nats/char 128 5 min 1.0 MiB"


def test_json_has_all_of_it(run: Run, tmp_path: Path) -> None:
    (row,) = json.loads(run("report", run_folder(tmp_path / "one"), "--json").out)["runs"]
    assert (row["epochs"], row["batches"], row["updates"], row["steps"], row["seconds"]) == (2, 30, 30, 1920, 15.0)
    assert row["best"] == {"loss": row["valid_loss"], "update": 30, "epoch": 2}
    assert row["unit"] == "nats/char"


def test_a_training_that_has_not_finished_and_tells_little_has_dashes(run: Run, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "one")
    (folder / "metrics.jsonl").write_text('{"kind": "batch", "loss": NaN}\n{"kind": "ba')
    (row,) = run("report", folder).out.splitlines()[1:]
    assert row.split()[1:] == ["0", "1", "-", "-", "-", "-", "nats/char", "-", "-", "-"]
    assert json.loads(run("report", folder, "--json").out)["runs"][0]["loss"] is None


def test_what_train_writes_is_what_report_reads(run: Run, train: Run, tmp_path: Path) -> None:
    assert train("--out", tmp_path / "run").code == 0
    (row,) = json.loads(run("report", tmp_path / "run", "--json").out)["runs"]
    assert row["epochs"] == 2
    assert row["updates"] == row["batches"] > 0
    assert all(row[name] for name in ("loss", "train_loss", "valid_loss", "steps_per_second", "peak_bytes"))
    assert row["not_finite"] == 0


@pytest.mark.parametrize("ending", [".png", ".svg"])
@pytest.mark.parametrize("over", ["updates", "steps", "seconds"])
def test_the_picture_is_drawn_over_updates_steps_or_seconds(run: Run, tmp_path: Path, ending: str, over: str) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / f"picture{ending}"
    folders = [run_folder(tmp_path / name) for name in ("one", "two")]
    outcome = run("report", *folders, "--plot", picture, "--over", over)
    assert (outcome.code, outcome.err) == (0, "")
    assert picture.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "there is no run folder"),
        ((".",), "is not a run folder: it has no config.toml"),
        ((), "no run is named, and there is none under 'runs'"),
        (("run", "--plot", "x.pdf"), "--plot 'x.pdf' is not a picture"),
        (("run", "--over", "epochs"), "'epochs' is not one of"),
        (("empty", "--plot", "x.png"), "run 'empty' has no batch in its metrics yet"),
        (("untimed", "--plot", "x.png", "--over", "seconds"), "the metrics of run 'untimed' have no seconds"),
        (("run",) * 9 + ("--plot", "x.png"), "--plot draws up to 8 runs over each other, not 9; give fewer"),
        (("broken",), "line 1 is no record of metrics: b'?'"),
    ],
)
def test_what_cannot_be_reported_is_said_in_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "run")
    run_folder(tmp_path / "untimed", seconds=None)
    (run_folder(tmp_path / "empty") / "metrics.jsonl").write_text("")
    (run_folder(tmp_path / "broken") / "metrics.jsonl").write_text("?\n")
    outcome = run("report", *words)
    assert outcome.code in (1, 2)
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_run_of_a_task_whose_plugin_is_not_at_hand_is_named_after_it(run: Run, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "one", config='task = "mine:width=3"\n')
    assert json.loads(run("report", folder, "--json").out)["runs"][0]["unit"] == "mine:width=3"


def page_data(path: Path) -> list[dict]:
    """Return the traces in a page, which plotly draws."""
    text = path.read_text("utf-8")
    begun = text.rindex("Plotly.newPlot(")
    traces, _ = json.JSONDecoder().raw_decode(text[text.index("[{", begun) :])
    return traces


def test_the_page_has_the_curves_of_every_run_and_loads_nothing(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason='the page needs: pip install ".[page]"')
    one, two = run_folder(tmp_path / "one"), run_folder(tmp_path / "two", updates=60)
    page = tmp_path / "page.html"
    outcome = run("report", one, two, "--page", page)
    assert (outcome.code, outcome.err) == (0, "")
    traces = page_data(page)
    losses = [trace for trace in traces if trace["xaxis"] == "x" and trace["mode"] == "lines"]
    assert [len(trace["y"]) for trace in losses] == [30, 60]
    assert losses[0]["y"] == pytest.approx([1 + math.exp(-update / 10) for update in range(1, 31)])
    assert losses[0]["x"] == list(range(1, 31))
    assert [trace["legendgroup"] for trace in traces if trace.get("showlegend")] == [str(one), str(two)]
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="', page.read_text("utf-8"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--page", "page.png"), "give a file that ends in .html"),
        (("--page", "nowhere/page.html"), "there is no folder 'nowhere'"),
        (("--follow",), "give --page FILE.html too"),
    ],
)
def test_a_page_that_cannot_be_written_is_one_line(
    run: Run, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    outcome = run("report", run_folder(tmp_path / "one"), *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_without_plotly_one_line_says_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnnframe.cli.report.find_spec", lambda name: None)
    outcome = run("report", run_folder(tmp_path / "one"), "--page", "page.html")
    assert outcome.code == 2
    assert 'pip install "rnnframe[page]"' in outcome.err


def test_a_page_follows_a_run_until_it_ends(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("plotly", reason='the page needs: pip install ".[page]"')
    folder, page, seen = run_folder(tmp_path / "one"), tmp_path / "page.html", []
    held = RunFolder.resume(folder)

    def train_on(seconds: float) -> None:
        seen.append((seconds, page.read_text("utf-8")))
        record = {"kind": "batch", "update": 31, "loss": 0.25, "steps": 64, "seconds": 0.5}
        with open(folder / "metrics.jsonl", "a") as metrics:
            metrics.write(json.dumps(record) + "\n")
        held.close()

    monkeypatch.setattr("rnnframe.cli.report.time.sleep", train_on)
    assert run("report", folder, "--page", page, "--follow").code == 0
    ((seconds, first),) = seen
    assert 1 <= seconds <= 60
    assert "LIVE = true" in first
    assert "LIVE = false" in page.read_text("utf-8")
    assert page_data(page)[0]["y"][-1] == 0.25


def test_a_page_can_be_switched_and_reloads_as_it_was(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason='the page needs: pip install ".[page]"')
    one, two, page = run_folder(tmp_path / "one"), run_folder(tmp_path / "two", updates=60), tmp_path / "page.html"
    run("report", one, two, "--page", page)
    live = page.read_text("utf-8").replace("LIVE = false", "LIVE = true").replace("1000 * 5", "500")
    page.write_text(live, encoding="utf-8")
    with chromium() as browser:
        browser.get(page.as_uri())
        visible = "return document.querySelector('.plotly-graph-div').data.map((t) => String(t.visible ?? true))"
        assert set(browser.execute_script(visible)) == {"true"}
        hide = """
            const plot = document.querySelector('.plotly-graph-div');
            const those = plot.data.map((t, n) => t.legendgroup === arguments[0] ? n : -1).filter((n) => n >= 0);
            window.old = true;
            return Plotly.restyle(plot, {visible: 'legendonly'}, those).then(() => those.length);
        """
        assert browser.execute_script(hide, str(one)) > 3
        deadline = time.monotonic() + 30
        while browser.execute_script("return window.old === true") and time.monotonic() < deadline:
            time.sleep(0.1)
        while "legendonly" not in browser.execute_script(visible) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert set(browser.execute_script(visible)) == {"true", "legendonly"}
        expect_silence(browser)


def look(**values: object) -> dict[str, object]:
    norms = {"layer0.h": [1e-9, 1e-4, 0.5]}
    record = {"kind": "gradients", "epoch": 1, "update": 30, "steps": [0, 4, 8], "norms": norms}
    return record | {"spectral_radius": {"layer0.W": 1.7}, "saturated": {"layer0.f": 0.25}} | values


def with_look(folder: Path, **values: object) -> Path:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(look(**values)) + "\n")
    return folder


def test_watched_gradients_are_drawn_and_printed(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder, picture = with_look(run_folder(tmp_path / "one")), tmp_path / "gradients.svg"
    outcome = run("report", folder, "--gradients", picture, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    (row,) = json.loads(outcome.out)["runs"]
    assert row["gradients"]["norms"] == {"layer0.h": [1e-9, 1e-4, 0.5]}
    assert picture.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"norms": {"layer0.h": [1.0]}}, "expected 3 numbers by name, one for each of the steps"),
        ({"norms": {"layer0.h": [1.0, "a", 2.0]}}, "'norms' is 'a'; expected a number"),
        ({"saturated": [1]}, "'saturated' is [1]; expected numbers by name"),
    ],
)
def test_a_look_that_is_none_is_refused_with_its_line(run: Run, tmp_path: Path, values: dict, why: str) -> None:
    outcome = run("report", with_look(run_folder(tmp_path / "one"), **values))
    assert outcome.code == 1
    assert "line 33: " in outcome.err
    assert why in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_run_that_has_watched_nothing_is_named(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    one, two = with_look(run_folder(tmp_path / "one")), run_folder(tmp_path / "two")
    outcome = run("report", one, two, "--gradients", tmp_path / "gradients.png")
    assert outcome.code == 2
    assert f"run '{two}' has not watched its gradient; train one with --watch-gradients" in outcome.err
