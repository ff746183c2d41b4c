"""Every store that rnnframe brings goes through the suite that third parties use."""

import tempfile

import rnnframe as rf
from rnnframe.testing import StateStoreTests


def windows(steps, k1, k2):
    return [(max(0, t + k1 - k2), t, min(t + k1, steps)) for t in range(0, steps, k1)]


class TestFullHistory(StateStoreTests):
    store = "full-history"


class TestFullHistoryOfLeanTapes(StateStoreTests):
    store = "full-history:keep=lean"


class TestFullHistoryOfRoundedTapes(StateStoreTests):
    store = "full-history:keep=bfloat16"


class TestStates(StateStoreTests):
    store = "states"


class TestCircularQueue(StateStoreTests):
    store = "circular-queue:k1=3,k2=7"

    def windows(self, steps):
        return windows(steps, 3, 7)


class TestCircularQueueOfRoundedTapes(StateStoreTests):
    store = "circular-queue:k1=3,k2=7,keep=bfloat16"

    def windows(self, steps):
        return windows(steps, 3, 7)


class TestCircularQueueWithoutOverlap(StateStoreTests):
    store = "circular-queue:k1=5,k2=5"

    def windows(self, steps):
        return windows(steps, 5, 5)


class TestCircularQueueWithStoredWeights(StateStoreTests):
    store = "circular-queue:k1=2,k2=9,weights=stored"

    def windows(self, steps):
        return windows(steps, 2, 9)


class TestUniformCheckpoints(StateStoreTests):
    store = "checkpoint:policy=uniform"


class TestThreeUniformCheckpoints(StateStoreTests):
    store = "checkpoint:policy=uniform,slots=3"


class TestUniformCheckpointsWithinABudget(StateStoreTests):
    store = "checkpoint:policy=uniform,budget=20KB"


class TestRevolve(StateStoreTests):
    store = "checkpoint:policy=revolve,slots=2"


class TestRevolveWithinABudget(StateStoreTests):
    store = "checkpoint:policy=revolve,budget=20KB"


class TestMixed(StateStoreTests):
    store = "checkpoint:policy=mixed,slots=20"


class TestMixedWithinABudget(StateStoreTests):
    store = "checkpoint:budget=20KB"


class TestCheckpointsOnDisk(StateStoreTests):
    store = f"checkpoint:slots=2,medium=disk:path={tempfile.gettempdir()}"


class TestAuto(StateStoreTests):
    store = "auto:budget=1MB"


def test_every_store_that_rnnframe_brings_goes_through_the_suite():
    registry = rf.default_registry()
    brought = {n for n in registry.names("store") if registry.owner("store", n).distribution == "rnnframe"}
    suites = [suite for suite in StateStoreTests.__subclasses__() if suite.__module__ == __name__]
    assert {suite.store.partition(":")[0] for suite in suites} == brought
