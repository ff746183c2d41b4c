import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from rnnframe.runs.loading import load_model

from .conftest import TEXT, Run


def test_training_prints_a_sample_of_the_asked_length_from_the_texts_own_characters(train: Run) -> None:
    outcome = train()
    assert outcome.code == 0
    heading, rest = outcome.out.split("\n", 1)
    assert heading == "--- a sample of 20 characters at temperature 0.8 ---"
    sample, _ = rest.rsplit("\n---\n", 1)
    assert len(sample) == 20
    assert set(sample) <= set(TEXT)


def test_training_learns(train: Run, tmp_path: Path) -> None:
    assert train("--epochs", 12, "--optimizer", "adam:lr=1e-2", "--out", tmp_path / "run").code == 0
    epochs = [record for record in metrics(tmp_path / "run") if record["kind"] == "epoch"]
    assert len(epochs) == 12
    assert epochs[-1]["valid_loss"] < 0.6 * epochs[0]["valid_loss"]


def test_a_run_folder_holds_config_metrics_weights_and_checkpoints(train: Run, tmp_path: Path, text: Path) -> None:
    run = tmp_path / "deep" / "run"
    assert train("--out", run).code == 0
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoints",
        "config.toml",
        "metrics.jsonl",
        "run.lock",
        "weights.safetensors",
    ]
    config = tomllib.loads((run / "config.toml").read_text())
    assert config["data"] == str(text)
    assert config["cell"] == ["elman:hidden=8"]
    assert config["shards"] == 1  # as many as were used, whatever another machine would use
    model = load_model(run)
    assert model.learnt.characters == "".join(sorted(set(TEXT)))
    assert model.network.parameters["layer0.W"].shape == (8, 8)
    records = metrics(run)
    assert [record["kind"] for record in records].count("epoch") == 2
    assert {"epoch", "batch", "update", "loss", "gradient_norm", "learning_rate", "steps", "seconds"} <= records[
        0
    ].keys()
    assert records[-1]["peak_bytes"] > 0


def test_json_prints_one_object_and_nothing_else_on_stdout(train: Run, tmp_path: Path) -> None:
    outcome = train("--json", "--out", tmp_path / "run")
    report = json.loads(outcome.out)
    assert outcome.out.count("\n") == 1
    assert report["finished"] is True
    assert report["epoch"] == 2
    assert len(report["sample"]) == 20
    last = [record for record in metrics(tmp_path / "run") if record["kind"] == "epoch"][-1]
    assert (report["train_loss"], report["valid_loss"]) == (last["train_loss"], last["valid_loss"])


def test_the_epochs_loss_is_the_mean_over_characters_not_over_batches(train: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "run", "--epochs", 1, "--steps", 100)
    records = metrics(tmp_path / "run")
    batches = [record["loss"] for record in records if record["kind"] == "batch"]
    length = (len(TEXT) - int(len(TEXT) * 0.1) - 1) // 4  # characters of each of the four streams
    counts = [100] * (length // 100) + [length % 100]
    assert counts[-1] not in (0, 100)
    assert records[-1]["train_loss"] == pytest.approx(np.average(batches, weights=counts), rel=1e-6)


def test_progress_off_a_terminal_is_plain_lines_on_stderr(run: Run, text: Path) -> None:
    outcome = run("train", "--data", text, "--cell", "gru:hidden=8", "--batch", 4, "--epochs", 2, "--sample", 0)
    first, second = outcome.err.splitlines()
    assert first.startswith("epoch 1/2  batch ")
    assert second.startswith("epoch 2/2  batch ")
    for part in ("loss ", "valid ", " nats/char", " steps/s", "store "):
        assert part in second
    assert "\x1b" not in outcome.err


def test_the_default_text_is_the_one_that_every_interpreter_carries(run: Run) -> None:
    outcome = run("train", "--cell", "elman:hidden=4", "--stop-after", 1, "--json", "--quiet")
    report = json.loads(outcome.out)
    assert outcome.code == 0
    assert (report["finished"], report["batch"]) == (False, 1)


def test_a_configuration_file_sets_what_the_command_line_leaves_open(run: Run, text: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        f'data = "{text}"\ncell = ["gru:hidden=4", "elman:hidden=5"]\nepochs = 7\nbatch = 2\nheld-out = 0.2\n'
    )
    outcome = run("train", "--config", config, "--epochs", 1, "--out", tmp_path / "run", "--quiet")
    assert outcome.code == 0
    written = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert (written["epochs"], written["batch"], written["held_out"]) == (1, 2, 0.2)
    network = load_model(tmp_path / "run").network
    assert [cell.name for cell in network.cells] == ["gru", "elman"]


def test_the_configuration_that_a_run_wrote_reproduces_it(train: Run, run: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "a", "--store", "checkpoint:slots=2", "--seed", 3, "--clip", 0.5)
    run("train", "--config", tmp_path / "a" / "config.toml", "--out", tmp_path / "b", "--quiet")
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_layers_repeat_the_stack_of_cells(train: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "run", "--cell", "gru:hidden=6", "--layers", 2, "--epochs", 1)
    network = load_model(tmp_path / "run").network
    assert [cell.name for cell in network.cells] == ["elman", "gru"] * 2


@pytest.mark.parametrize("store", ["full-history", "checkpoint:slots=2", "checkpoint:policy=revolve,slots=2"])
def test_exact_stores_train_the_same_weights(train: Run, tmp_path: Path, store: str) -> None:
    train("--out", tmp_path / "reference", "--chunk", 4)
    train("--out", tmp_path / "run", "--chunk", 4, "--store", store)
    assert weights(tmp_path / "run") == weights(tmp_path / "reference")


def test_what_a_store_chose_is_written_down_so_that_a_resumed_run_does_not_choose_again(
    train: Run, tmp_path: Path
) -> None:
    train("--out", tmp_path / "run", "--store", "auto:budget=12KiB", "--kernels", "numpy", "--epochs", 1)
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert config["store"] == "full-history"
    assert config["chunk"] >= 1


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(run: Path) -> bytes:
    return (run / "weights.safetensors").read_bytes()


def test_what_is_frozen_has_the_bits_that_it_began_with(train: Run, tmp_path: Path) -> None:
    assert train("--out", tmp_path / "run", "--keep", 9, "--freeze", "*.U", "--freeze", "head.*").code == 0
    first, last = (load_model(tmp_path / "run", number).network.parameters for number in ("0", "last"))
    unchanged = {name for name in first if first[name].tobytes() == last[name].tobytes()}
    assert unchanged == {"layer0.U", "head.V", "head.c"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--freeze", "layr0.*"),
            "group 'layr0.*' matches no parameter; did you mean 'layer0.*'? (parameters: layer0.U, ",
        ),
        (("--group", "head.*:lr=fast"), "group 'head.*': lr=fast is invalid; expected a number"),
    ],
)
def test_a_group_that_cannot_be_meant_is_wrong_use_and_leaves_no_run(
    train: Run, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    outcome = train("--out", tmp_path / "run", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "run").exists()
