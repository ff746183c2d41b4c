"""Snapshots far away: on a disk, compressed, rounded."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import OptionError, PluginError, ScheduleError
from rnnframe.plugin import Medium, SnapshotLayout, Snapshots
from rnnframe.schedules import Drop, Save
from rnnframe.testing import check_medium

MEDIA = ["disk", "blosc2", "blosc2:level=9", "float16"]
SHAPES = {"layer0.h": (3, 5), "layer0.c": (3, 7)}


def opened(spec: str, slots: int | None, folder: Path) -> tuple[Medium, Snapshots]:
    medium = rf.medium(f"disk:path={folder}" if spec == "disk" else spec)
    if medium.name == "blosc2":
        pytest.importorskip("blosc2")
    layout = SnapshotLayout(slots=slots, state_bytes=144, new_state=lambda: rf.Vector.zeros(SHAPES, np.dtype("f4")))
    return medium, medium.open(layout)


def state(seed: int) -> rf.Vector:
    vector = rf.Vector(SHAPES, np.dtype("float32"))
    vector.flat = np.random.default_rng(seed).normal(size=36).astype("float32")
    return vector


@pytest.mark.parametrize("spec", MEDIA)
@pytest.mark.parametrize("slots", [1, 8, None])
@settings(max_examples=30)
@given(words=st.lists(st.tuples(st.sampled_from(["save", "load", "drop"]), st.integers(0, 7)), max_size=60))
def test_a_medium_gives_back_what_it_was_given(tmp_path_factory, spec, slots, words):
    """Beside a plain dictionary: slots saved, loaded any number of times, dropped and saved again, in any order."""
    medium, snapshots = opened(spec, slots, tmp_path_factory.getbasetemp())
    held: dict[int, rf.Vector] = {}
    for seed, (word, slot) in enumerate(words):
        if word == "save" and slot not in held and len(held) < (slots or 99):
            held[slot] = state(seed)
            snapshots.save(slot, held[slot])
        elif word == "load" and slot in held:
            found = state(-1 - seed + 10**6)
            snapshots.load(slot, found)
            if medium.exact:
                assert found.flat.tobytes() == held[slot].flat.tobytes()
            else:
                assert np.abs(found.flat - held[slot].flat).max() <= 2**-11 * np.abs(held[slot].flat).max()
        elif word == "drop" and slot in held:
            snapshots.drop(slot)
            del held[slot]
    assert snapshots.nbytes <= max(1, len(words)) * medium.ram_bytes(144)
    snapshots.clear()
    snapshots.save(0, state(3))


def test_small_states_share_the_pages_of_a_disk(tmp_path, monkeypatch):
    """A page for each was 28 times what they hold: with a state for every step, memory far above the plan."""
    files, make = [], tempfile.TemporaryFile

    def made(**options):
        files.append(make(**options))
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", made)
    _, snapshots = opened("disk", 500, tmp_path)
    assert os.fstat(files[0].fileno()).st_size <= 500 * 1.4 * 144
    for slot in range(500):
        snapshots.save(slot, state(slot))
    found = state(0)
    for slot in reversed(range(500)):
        snapshots.load(slot, found)
        assert found.flat.tobytes() == state(slot).flat.tobytes()


def engine(store: str, **options) -> rf.Engine:
    network = rf.Network(["lstm:hidden=12", "gru:hidden=9"], "mse:outputs=2", 3, seed=1)
    return rf.Engine(network, store, chunk=4, **options)


def batch(steps: int = 150) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps, 6, 3)), rng.normal(size=(steps, 6, 2))


@pytest.mark.parametrize("medium", ["disk:path={}", "blosc2", "blosc2:level=1"])
@pytest.mark.parametrize("options", ["", ",slots=1", ",slots=3", ",slots=60", ",keep=lean", ",budget=140KiB"])
@pytest.mark.parametrize("shards", [1, 2])
def test_an_exact_medium_changes_no_bit_of_the_gradient(tmp_path, medium, options, shards):
    if medium.startswith("blosc2"):
        pytest.importorskip("blosc2")
    store = f"checkpoint:medium={medium.format(tmp_path)}{options}"
    expected = engine("full-history", shards=shards).gradients(*batch())
    found = engine(store, shards=shards).gradients(*batch())
    assert found.report.exact
    assert found.loss == expected.loss
    assert np.array_equal(found.gradients.flat, expected.gradients.flat)
    assert found.report.peak_bytes <= found.report.predicted_bytes
    assert list(tmp_path.iterdir()) == []


def test_with_a_disk_no_step_is_run_more_than_twice_in_the_ram_of_one_tape(tmp_path):
    plan = engine(f"checkpoint:medium=disk:path={tmp_path},slots=1").plan(150, 6)
    assert plan.simulation.forward_steps <= 2 * 150
    assert (plan.simulation.tapes, plan.simulation.snapshots) == (1, 0)
    assert plan.simulation.far_snapshots == 37


def test_rounded_snapshots_are_said_to_be_inexact_and_are_near():
    expected = engine("full-history").gradients(*batch())
    found = engine("checkpoint:medium=float16").gradients(*batch())
    assert not found.report.exact
    assert not engine("checkpoint:medium=float16").plan(150, 6).exact
    error = np.abs(found.gradients.flat - expected.gradients.flat).max() / np.abs(expected.gradients.flat).max()
    assert 0 < error < 1e-2
    assert 0.95 * found.report.predicted_bytes < found.report.peak_bytes <= found.report.predicted_bytes


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere/at/all", "medium 'disk': no file can be made in path='nowhere/at/all': No such file or directory"),
        ("/dev/null", "medium 'disk': no file can be made in path='/dev/null': Not a directory"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_before_anything_runs(path, message):
    with pytest.raises(OptionError) as refusal:
        engine(f"checkpoint:medium=disk:path={path}").gradients(*batch())
    assert str(refusal.value) == message


LIMITED = """
import resource, signal, sys
import numpy as np
import rnnframe as rf
from rnnframe.plugin import OptionError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
network = rf.Network(["lstm:hidden=64"], "mse:outputs=1", 2)
x = np.zeros((400, 8, 2), "float32")
try:
    rf.Engine(network, "checkpoint:slots=1,medium=disk:path=" + sys.argv[1], chunk=4).gradients(x, x[:, :, :1])
except OptionError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_disk_that_has_no_room_is_told_before_anything_runs_and_nothing_stays(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("medium 'disk': no room for 396.0 KiB in path=")
    assert "File too large; give another folder" in done.stdout
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
import numpy as np
import rnnframe as rf
network = rf.Network(["lstm:hidden=64"], "mse:outputs=1", 2)
class Data:
    shape, dtype = (400, 8, 2), np.dtype("float32")
    def __getitem__(self, steps):
        if steps.start > 200:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.zeros((len(range(400)[steps]), 8, 2), "float32")
engine = rf.Engine(network, "checkpoint:slots=1,medium=disk:path=" + sys.argv[1], chunk=4)
engine.gradients(Data(), np.zeros((400, 8, 1)))
"""


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_a_killed_process_leaves_no_file(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_vanishes_during_a_run_does_no_harm(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    x, y = batch()

    class Data:
        shape, dtype = x.shape, x.dtype

        def __getitem__(self, steps):
            if folder.exists():
                folder.rmdir()
            return x[steps]

    found = engine(f"checkpoint:slots=1,medium=disk:path={folder}").gradients(Data(), y)
    assert np.array_equal(found.gradients.flat, engine("full-history").gradients(x, y).gradients.flat)


def test_a_medium_is_no_place_for_other_policies():
    with pytest.raises(OptionError, match="a 'medium' needs policy=mixed, which is its default: policy=revolve"):
        rf.store("checkpoint:policy=revolve,medium=float16")


def test_a_store_that_saves_far_without_a_medium_is_refused():
    class Far(type(rf.store("full-history"))):
        name = "far"

        def schedule(self, grid, costs):
            yield Save(0, far=True)
            yield Drop(0)
            yield from super().schedule(grid, costs)

    with pytest.raises(ScheduleError, match="store 'far' saves states far away and has no medium to hold them"):
        engine(Far()).gradients(*batch())


@attrs.frozen(kw_only=True)
class Old(Medium):
    """Gives back the state before the last one in a place that was used `after` times."""

    name = "old"
    after: int = 3

    def ram_bytes(self, state_bytes):
        return 2 * state_bytes

    def open(self, layout):
        return OldSnapshots(self.after)


class OldSnapshots:
    nbytes = 0

    def __init__(self, after):
        self.after, self.used, self.free, self.held = after, {}, [], {}

    def save(self, slot, state):
        self.held[slot] = place = self.free.pop() if self.free else len(self.used)
        self.used.setdefault(place, []).append(state.flat.copy())

    def load(self, slot, state):
        kept = self.used[self.held[slot]]
        state.flat[:] = kept[-1 - (len(kept) > self.after)]

    def drop(self, slot):
        self.free.append(self.held.pop(slot))

    def clear(self):
        self.free, self.held = list(self.used), {}


@pytest.mark.parametrize("shards", [1, 2])
def test_a_medium_that_gives_back_old_bytes_is_told_and_never_trained_on(shards):
    x, y = batch()
    sound = engine("full-history", shards=shards)
    running = engine(attrs.evolve(rf.store("checkpoint"), medium=Old()), shards=shards)
    for n in range(3):  # until a place is used the fourth time, all is well
        expected = sound.gradients((n + 1) * x, y).gradients
        assert running.gradients((n + 1) * x, y).gradients.flat.tobytes() == expected.flat.tobytes()
    with pytest.raises(PluginError, match="medium 'old' gave back other bytes than it was given") as told:
        running.gradients(4 * x, y)
    assert "\n" not in str(told.value)
    assert check_medium(Old()).failed


def test_a_flipped_bit_in_a_snapshot_is_told():
    class Flipped(Old):
        name = "flipped"

        def open(self, layout):
            class Snapshots(OldSnapshots):
                def load(self, slot, state):
                    super().load(slot, state)
                    state.flat.view("u1")[len(state.flat) // 2] ^= 1

            return Snapshots(10**9)

    with pytest.raises(PluginError, match="other bytes"):
        engine(attrs.evolve(rf.store("checkpoint"), medium=Flipped())).gradients(*batch())
