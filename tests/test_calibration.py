"""The predicted time of a plan counts the ways of states to a medium and back, whoever provides it."""

import time
from typing import ClassVar

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.inspection.calibration import Calibration
from rnnframe.plugin import Medium, SnapshotLayout, Snapshots

SAVE, LOAD = 0.03, 0.05  # seconds, far more than a chunk of a small network takes


@attrs.define
class SlowSlots:
    """Slots in a dictionary, with a pause before each access."""

    kept: dict[int, np.ndarray] = attrs.field(factory=dict)
    saves: int = 0
    loads: int = 0
    nbytes: ClassVar[int] = 0

    def save(self, slot, state):
        time.sleep(SAVE)
        self.saves += 1
        self.kept[slot] = state.flat.copy()

    def load(self, slot, state):
        time.sleep(LOAD)
        self.loads += 1
        state.flat[...] = self.kept[slot]

    def drop(self, slot):
        del self.kept[slot]

    def clear(self):
        self.kept.clear()


@attrs.frozen(kw_only=True)
class Slow(Medium):
    """A medium as slow as a network drive."""

    name: ClassVar[str] = "slow"
    opened: ClassVar[list[SlowSlots]] = []

    def ram_bytes(self, state_bytes: int) -> int:
        return 0

    def open(self, layout: SnapshotLayout) -> Snapshots:
        self.opened.append(SlowSlots())
        return self.opened[-1]


@pytest.fixture
def network() -> rf.Network:
    return rf.Network(["gru:hidden=8"], "mse:outputs=1", inputs=3)


def slow_engine(network: rf.Network) -> rf.Engine:
    store = type(rf.store("checkpoint"))(medium=Slow(), slots=4)
    return rf.Engine(network, store, chunk=1, shards=1)


def test_a_plan_counts_what_a_run_writes_to_its_medium_and_reads_from_there(network):
    engine = slow_engine(network)
    done = engine.plan(12, 2).simulation
    Slow.opened.clear()
    engine.gradients(np.zeros((12, 2, 3)), np.zeros((12, 2, 1)))
    (slots,) = Slow.opened
    assert (slots.saves, slots.loads) == (done.far_saves, done.far_loads)
    assert done.far_saves > 0


def test_the_predicted_time_is_that_of_a_slow_medium_where_it_is_slow(network):
    plan = slow_engine(network).plan(12, 2)
    done = plan.simulation
    waited = SAVE * done.far_saves + LOAD * done.far_loads  # sleep is never shorter
    predicted = Calibration(network).seconds(plan)
    assert predicted >= waited
    in_ram = rf.Engine(network, "checkpoint:slots=4", chunk=1, shards=1).plan(12, 2)
    assert in_ram.simulation.far_saves == in_ram.simulation.far_loads == 0


def test_a_medium_is_measured_once(network):
    calibration, plan = Calibration(network), slow_engine(network).plan(12, 2)
    calibration.seconds(plan)
    Slow.opened.clear()
    calibration.seconds(plan)
    assert not Slow.opened


def test_a_medium_that_comes_with_rnnframe_is_measured_too(network, tmp_path):
    plan = rf.Engine(network, f"checkpoint:medium=disk:path={tmp_path},slots=3", chunk=1, shards=1).plan(40, 2)
    each = Calibration(network).transfer(plan.store.medium, 2)
    assert each.save > 0
    assert each.load > 0
    assert plan.simulation.far_loads > 0
