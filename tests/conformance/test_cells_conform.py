"""Every cell that rnnframe brings goes through the suite that third parties use."""

import rnnframe as rf
from rnnframe.testing import CellTests


class TestElman(CellTests):
    cell = "elman:hidden=5"


class TestElmanWithSigmoid(CellTests):
    cell = "elman:hidden=5,activation=sigmoid"


class TestElmanWithRelu(CellTests):
    cell = "elman:hidden=5,activation=relu"


class TestElmanWithIdentity(CellTests):
    cell = "elman:hidden=3,activation=identity"


class TestLSTM(CellTests):
    cell = "lstm:hidden=4"


class TestLSTMWithMoreInputsThanUnits(CellTests):
    cell = "lstm:hidden=2,forget_bias=-1"
    inputs = 7


class TestGRU(CellTests):
    cell = "gru:hidden=4"


class TestGRUWithResetBefore(CellTests):
    cell = "gru:hidden=4,reset=before"


def test_every_cell_that_rnnframe_brings_goes_through_the_suite():
    registry = rf.default_registry()
    brought = {n for n in registry.names("cell") if registry.owner("cell", n).distribution == "rnnframe"}
    assert {suite.cell.partition(":")[0] for suite in CellTests.__subclasses__() if suite.__module__ == __name__} == (
        brought
    )
