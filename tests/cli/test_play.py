"""`rnnframe play`: the page is one file, small, and says no more than the simulator; wrong options are one line."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import rnnframe as rf

from .conftest import Run


def data_of(path: Path) -> tuple[dict[str, Any], str]:
    page = path.read_text("utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1]), page


def test_the_usual_page_is_one_file_below_300_kilobytes(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = run("play", "--out", out)
    assert done.out.split() == [str(out)]
    data, page = data_of(out)
    assert len(page.encode()) < 300_000
    assert not re.search(r"""(src|href)\s*=|url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)""", page)
    assert [film["title"] for film in data["films"]] == ["full-history (exact)", "checkpoint (exact)"]
    assert all(film["values"]["states"] for film in data["films"])


def test_a_large_network_is_played_without_its_values(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    run("play", "--store", "circular-queue:k1=8,k2=32", "--steps", 200, "--cell", "lstm:hidden=64", "--out", out)
    data, page = data_of(out)
    (film,) = data["films"]
    assert film["values"] is None
    assert len(page.encode()) < 300_000
    network = rf.Network(cells=["lstm:hidden=64"], head="mse:outputs=2", inputs=3)
    plan = rf.Engine(network, "circular-queue:k1=8,k2=32", 1, shards=1).plan(200, 1)
    assert film["bytes"]["tape"] == plan.costs.tape


def test_a_store_of_a_plugin_file_plays_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import attrs\n"
        "from typing import ClassVar\n"
        "from rnnframe.plugin import Forward, Reverse, StateStore\n"
        "@attrs.frozen(kw_only=True)\n"
        "class Mine(StateStore):\n"
        "    name: ClassVar[str] = 'mine'\n"
        "    def schedule(self, grid, costs):\n"
        "        yield Forward(0, grid.chunks, keep=True)\n"
        "        yield Reverse(grid.chunks, 0)\n"
    )
    run("--plugin", tmp_path / "mine.py", "play", "--store", "mine", "--out", tmp_path / "page.html")
    data, _ = data_of(tmp_path / "page.html")
    assert data["films"][0]["sources"][0]["name"] == "Mine.schedule"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--store", "states", "--store", "checkpoint", "--store", "full-history"], "a page plays one store, or two"),
        (["--out", "page.png"], "give a file that ends in .html"),
        (["--out", "nowhere/page.html"], "there is no folder 'nowhere'"),
        (["--steps", "5000", "--store", "full-history"], "more than 4,000 moments"),
    ],
)
def test_what_cannot_be_played_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("play", *options)
    assert done.code == 2
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
