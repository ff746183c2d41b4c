import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import RunError
from rnnframe.runs.checkpoints import Checkpoint, Checkpoints
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.loading import load_model
from rnnframe.runs.model import TaskModel
from rnnframe.storage.durable import write_whole
from rnnframe.storage.tensors import read_tensors, tensor_bytes
from rnnframe.storage.toml import to_toml

VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8")),
    st.lists(st.text(st.characters(codec="utf-8"))),
)


@given(st.dictionaries(st.from_regex("[a-z_]{1,8}", fullmatch=True), VALUES))
def test_options_come_back_from_toml_as_they_were(values: dict) -> None:
    assert tomllib.loads(to_toml(values)) == values


@pytest.fixture
def model() -> TaskModel:
    network = rf.Network(cells=["gru:hidden=4"], head="softmax:classes=3", inputs=3, seed=1)
    task = rf.task("characters")
    return TaskModel(network=network, task=task, learnt=task.learns(characters="abc"))


def new(path: Path) -> RunFolder:
    run = RunFolder.fresh(path)
    run.begin({})
    return run


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    with new(tmp_path / "run") as run:
        yield run


def checkpoint(model: TaskModel, number: int, best: int | None = None, **arrays: np.ndarray) -> Checkpoint:
    return Checkpoint(
        number=number,
        best=best,
        groups={"parameters": dict(model.network.parameters), "slots": arrays},
        progress={"epoch": number},
        model=model.describe(),
    )


def test_arrays_come_back_bit_for_bit_whatever_their_memory_order(run: RunFolder, model: TaskModel) -> None:
    given = np.asfortranarray(np.random.default_rng(0).standard_normal((5, 7)))
    run.save(checkpoint(model, 3, velocity=given, turned=given.T), keep=1)
    back = run.load()
    assert np.array_equal(back.groups["slots"]["velocity"], given)
    assert np.array_equal(back.groups["slots"]["turned"], given.T)
    assert (back.number, back.best, back.progress) == (3, None, {"epoch": 3})


def test_weights_alone_make_the_network_again(run: RunFolder, model: TaskModel) -> None:
    run.save(checkpoint(model, 0), keep=1)
    twin = load_model(run.path / "weights.safetensors")
    assert twin.network.cells == model.network.cells
    assert twin.network.head == model.network.head
    assert np.array_equal(twin.network.parameters.flat, model.network.parameters.flat)
    assert (twin.task, twin.learnt) == (model.task, model.learnt)


@pytest.mark.parametrize(
    ("keep", "bests", "stay"),
    [
        (1, (None, None, None, None, None), [14]),
        (3, (None, None, None, None, None), [12, 13, 14]),
        (9, (None, None, None, None, None), [10, 11, 12, 13, 14]),
        (2, (10, 10, 12, 12, 12), [12, 13, 14]),
        (1, (10, 11, 11, 11, 11), [11, 14]),
        (2, (10, 11, 12, 13, 14), [13, 14]),
    ],
)
def test_the_last_few_checkpoints_stay_and_the_best(
    run: RunFolder, model: TaskModel, keep: int, bests: tuple[int | None, ...], stay: list[int]
) -> None:
    for number, best in enumerate(bests, 10):
        model.network.parameters.flat[:] = number
        run.save(checkpoint(model, number, best), keep)
    assert run.checkpoints.numbers() == stay
    assert run.load().number == 14
    weights, _ = read_tensors(run.path / "weights.safetensors")
    assert np.all(weights["layer0.W"] == (bests[-1] or 14))


def test_equal_runs_write_equal_files(tmp_path: Path, model: TaskModel) -> None:
    for name in "ab":
        with new(tmp_path / name) as run:
            run.save(checkpoint(model, 2, v=np.ones(3)), keep=1)
    for file in ("weights.safetensors", "checkpoints/00000002.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_weights_of_another_shape_are_refused(run: RunFolder, model: TaskModel) -> None:
    run.save(checkpoint(model, 0), keep=1)
    tensors, about = read_tensors(run.path / "weights.safetensors")
    tensors["layer0.W"] = tensors["layer0.W"][:2]
    write_whole(run.path / "weights.safetensors", tensor_bytes(tensors, about))
    with pytest.raises(RunError, match=r"layer0.W is float32 \[2, 12\]; expected float32 \[4, 12\]"):
        load_model(run.path)


def test_a_damaged_checkpoint_names_the_one_before_it(run: RunFolder, model: TaskModel) -> None:
    for number in (4, 5):
        run.save(checkpoint(model, number), keep=2)
    (run.path / "checkpoints" / "00000005.safetensors").write_bytes(b"junk")
    with pytest.raises(RunError, match=r"00000005.safetensors' is damaged .*; remove it to go on from checkpoint 4$"):
        run.load()
    (run.path / "checkpoints" / "00000005.safetensors").unlink()
    assert run.load().number == 4


def test_a_second_writer_is_refused_and_a_reader_is_not(run: RunFolder, model: TaskModel) -> None:
    run.save(checkpoint(model, 0), keep=1)
    in_use = f"is in use by process {os.getpid()}; wait until it ends, or take another folder"
    with pytest.raises(RunError, match=in_use):
        RunFolder.resume(run.path)
    with pytest.raises(RunError, match=in_use):
        RunFolder.fresh(run.path, force=True).begin({})
    assert RunFolder.open(run.path).load().number == 0
    load_model(run.path)
    run.close()
    RunFolder.resume(run.path).close()


def replaced(run: RunFolder, model: TaskModel, number: int) -> RunFolder:
    """Return a run that replaces another one, which has been left, up to just before its first checkpoint."""
    run.save(checkpoint(model, number), keep=1)
    run.close()
    again = RunFolder.fresh(run.path, force=True)
    again.begin({"seed": 7})
    return again


def test_a_run_stays_until_the_one_that_replaces_it_has_begun(run: RunFolder, model: TaskModel) -> None:
    again = replaced(run, model, 5)
    again.append({"first": 1})
    assert RunFolder.open(run.path).config() == {}
    assert RunFolder.open(run.path).load().number == 5
    again.save(checkpoint(model, 0), keep=1)
    again.append({"second": 2})
    assert RunFolder.open(run.path).config() == {"seed": 7}
    assert run.checkpoints.numbers() == [0]
    assert (run.path / "metrics.jsonl").read_text() == '{"first": 1}\n{"second": 2}\n'
    again.close()
    files = {"config.toml", "metrics.jsonl", "weights.safetensors", "checkpoints", "run.lock"}
    assert {path.name for path in run.path.iterdir()} == files


def test_a_run_stays_where_the_one_that_replaces_it_ends_before_its_first_checkpoint(
    run: RunFolder, model: TaskModel, capsys: pytest.CaptureFixture[str]
) -> None:
    replaced(run, model, 5).close()
    assert RunFolder.open(run.path).load().number == 5
    assert not list(run.path.glob("replacement*"))
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="makes links as POSIX has them")
@pytest.mark.parametrize("name", ["replacement", "replacement.new", "replacement/checkpoints"])
def test_a_planted_replacement_leads_to_no_file_outside(
    run: RunFolder, model: TaskModel, tmp_path: Path, name: str
) -> None:
    run.save(checkpoint(model, 5), keep=1)
    run.close()
    outside = tmp_path / "outside"
    outside.mkdir()
    for file in ("config.toml", "00000000.safetensors"):
        (outside / file).write_text("dear")
    (run.path / name).parent.mkdir(exist_ok=True)
    (run.path / name).symlink_to(outside)
    with pytest.raises(RunError, match="is no folder of a run; remove it"):
        RunFolder.resume(run.path)
    assert {path.name: path.read_text() for path in outside.iterdir()} == {
        "config.toml": "dear",
        "00000000.safetensors": "dear",
    }


def test_metrics_are_cut_where_the_checkpoint_was_made(run: RunFolder) -> None:
    run.append({"n": 1})
    size = run.metrics_size
    run.append({"n": 2})
    run.close()
    with RunFolder.resume(run.path) as again:
        again.cut_metrics(size)
        again.append({"n": 3})
    assert (run.path / "metrics.jsonl").read_text() == '{"n": 1}\n{"n": 3}\n'


REPLACED = """
import sys
from pathlib import Path
from rnnframe.runs.checkpoints import Checkpoints
checkpoints = Checkpoints(Path(sys.argv[1]))
for number in range(7, 3000):
    checkpoints.path(number + 1).write_bytes(b"")
    checkpoints.path(number).unlink()
"""


@pytest.mark.parametrize("best", [False, True])
def test_the_newest_checkpoint_is_found_at_any_moment_while_another_process_replaces_it(
    tmp_path: Path, best: bool
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.path(7).touch()
    if best:
        checkpoints.path(1).touch()  # which stays
    with subprocess.Popen([sys.executable, "-c", REPLACED, tmp_path]) as training:
        while training.poll() is None:
            assert checkpoints.newest() >= 7
    assert training.returncode == 0
    assert checkpoints.newest() == 3000
