import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnnframe import Registry
from rnnframe.cli import COMMANDS, with_commands
from rnnframe.registry import kinds
from rnnframe.registry.registry import default_registry

from .conftest import TEXT, Run


@pytest.fixture
def trained(train: Run, tmp_path: Path) -> Path:
    train("--out", tmp_path / "run", "--optimizer", "adam:lr=1e-2")
    return tmp_path / "run"


def test_evaluate_repeats_the_validation_loss_of_training(run: Run, trained: Path) -> None:
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    report = json.loads(run("evaluate", trained, "--json").out)
    assert report["loss"] == pytest.approx(last["valid_loss"], rel=1e-6)
    assert report["unit"] == "nats/char"


def test_evaluate_on_a_text_counts_every_character_but_the_first(run: Run, trained: Path, text: Path) -> None:
    outcome = run("evaluate", trained, "--data", text)
    report = json.loads(run("evaluate", trained, "--data", text, "--json").out)
    assert report["count"] == len(TEXT) - 1
    assert f"{report['loss']:.4f} nats/char ({report['loss'] / math.log(2):.4f} bits/char, " in outcome.out


def test_sample_is_the_same_for_the_same_seed_and_another_for_another(run: Run, trained: Path) -> None:
    first, again, other = (run("sample", trained, "--length", 80, "--seed", seed).out for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 81


def test_sample_at_temperature_zero_has_no_chance_in_it(run: Run, trained: Path) -> None:
    words = ("sample", trained, "--temperature", 0, "--prime", "the ", "--json")
    assert json.loads(run(*words, "--seed", 1).out)["text"] == json.loads(run(*words, "--seed", 2).out)["text"]


def test_plugins_lists_every_plugin_with_its_distribution(run: Run) -> None:
    table = run("plugins").out.splitlines()
    assert table[0].split() == ["plugin", "status", "from", "provides"]
    assert any(line.split()[:3] == ["circular-queue", "ok", "rnnframe"] for line in table)
    records = json.loads(run("plugins", "--json").out)["plugins"]
    assert {"cells", "optimizers", "full-history", "circular-queue", "checkpoint"} <= {r["name"] for r in records}
    assert all(record["status"] == "ok" for record in records)


KINDS = ("task", "cell", "store", "optimizer", "medium", "loss", "readout", "learning rate", "observer")


@pytest.mark.parametrize("kind", KINDS)
def test_show_explains_every_name_and_its_options(run: Run, kind: str) -> None:
    registry = Registry.installed()
    for name in registry.names(kind):
        outcome = run("show", name)
        found = json.loads(run("show", name, "--json").out)["found"]
        assert outcome.out.startswith(f"{name}: {kind} of ")
        assert [thing["kind"] for thing in found] == [kind]
        for option in found[0]["options"]:
            assert option["help"], f"{kind} {name}: option {option['name']} has no help"
            assert option["name"] in outcome.out


def test_show_tells_that_adamw_leaves_biases_without_decay(run: Run) -> None:
    shown = run("show", "adamw").out
    assert "Biases are not decayed unless spare_biases=false" in shown
    assert any(line.split()[:4] == ["spare_biases", "true", "or", "false"] for line in shown.splitlines())


def test_show_tells_what_a_step_of_a_cell_leaves_behind(run: Run) -> None:
    out = run("show", "lstm").out
    assert "state (with hidden=128): h 128, c 128" in out
    assert "tape, per step and sample: gates 512, c 128, h 128" in out


def test_show_tells_whether_a_medium_is_exact(run: Run) -> None:
    assert "snapshots: exact\n" in run("show", "disk").out
    assert "snapshots: not exact\n" in run("show", "float16").out


@pytest.mark.parametrize(
    ("store", "answer"),
    [("auto", "no"), ("full-history", "yes"), ("circular-queue", "yes"), ("checkpoint", "it depends on the options")],
)
def test_show_tells_whether_a_store_needs_the_length(run: Run, store: str, answer: str) -> None:
    assert f"sources of unknown length: {answer}\n" in run("show", store).out


def test_help_names_every_command_and_every_training_option(run: Run) -> None:
    overview = run("--help").out
    for name in ("train", "evaluate", "predict", "sample", "plugins", "show"):
        assert name in overview
    options = run("train", "--help").out
    for name in ("--data", "--cell", "--layers", "--store", "--optimizer", "--batch", "--steps", "--epochs", "--seed"):
        assert name in options
    assert set(with_commands().commands) == {
        "train",
        "evaluate",
        "backtest",
        "predict",
        "sample",
        "serve",
        "warmup",
        "report",
        "plan",
        "completion",
        "play",
        "compare",
        "explain",
        "new",
        "check",
        "plugins",
        "show",
    }


def test_the_overview_says_of_each_command_what_the_command_says(run: Run) -> None:
    commands = with_commands().commands
    assert {name: command.short_help for name, command in commands.items()} == COMMANDS
    listed = set(re.findall(r"^  (\w+)  ", run("--help").out, re.MULTILINE))
    assert listed == {*commands, "export", "import"}  # these two come from a plugin


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m rnnframe show lstm --json | true"
    outcome = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert outcome.stderr == ""


def test_help_imports_nothing_that_only_training_needs() -> None:
    code = (
        "import sys; sys.argv = ['rnnframe', '--help']\n"
        "from rnnframe.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = ('rich', 'safetensors', 'torch', 'pydoc_data', 'rnnframe.cli.train', 'rnnframe_cells')\n"
        "print([name for name in slow if name in sys.modules])"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.splitlines()[-1] == "[]"


def test_show_without_a_name_lists_everything_by_kind(run: Run) -> None:
    out = run("show").out
    for kind, rule in kinds.KINDS.items():
        assert f"{rule.plural}:\n" in out
        for name in default_registry().names(kind):
            assert re.search(rf"^  {name} +\S", out, re.MULTILINE), name
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("word", ["stores", "store"])
def test_show_lists_one_kind(run: Run, word: str) -> None:
    listed = json.loads(run("show", word, "--json").out)["kinds"]
    assert [*listed] == ["stores"]
    assert [*listed["stores"]] == default_registry().names("store")


def test_show_says_where_there_are_no_options(run: Run) -> None:
    out = run("show", "compiled").out
    assert out.endswith("It has no options.\n")
    assert "meaning" not in out
