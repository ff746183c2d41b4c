"""The compiled twins of the built-in cells go through the suite that third parties use."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.testing import CellTests, KernelsTests

pytest.importorskip("numba", reason="numba is not installed")


def twin(spec):
    return rf.default_registry().kernels("compiled").twin(rf.cell(spec), np.dtype("float64"))


class CompiledTests(CellTests):
    __test__ = False
    dtypes = ("float64",)  # each twin is of one type; tests/plugins/test_compiled_cells.py has float32
    seeds = (0,)
    test_the_options_written_down_make_an_equal_object = None  # an engine makes twins, nobody writes one down
    test_declared_working_arrays_are_used = None  # a panel for as many rows as are taken at once, not for those here


class TestElman(CompiledTests):
    __test__ = True
    cell = twin("elman:hidden=5")


class TestElmanWithSigmoid(CompiledTests):
    __test__ = True
    cell = twin("elman:hidden=9,activation=sigmoid")


class TestElmanWithRelu(CompiledTests):
    __test__ = True
    cell = twin("elman:hidden=5,activation=relu")


class TestElmanWithIdentity(CompiledTests):
    __test__ = True
    cell = twin("elman:hidden=3,activation=identity")


class TestLSTM(CompiledTests):
    __test__ = True
    cell = twin("lstm:hidden=4")


class TestLSTMOfMoreThanAVector(CompiledTests):
    __test__ = True
    cell = twin("lstm:hidden=9")
    inputs = 3


class TestNormedAndProjectedLSTM(CompiledTests):
    __test__ = True
    cell = twin("lstm:hidden=9,norm=layer,projection=5")
    inputs = 3


class TestGRU(CompiledTests):
    __test__ = True
    cell = twin("gru:hidden=9")


class TestNormedGRU(CompiledTests):
    __test__ = True
    cell = twin("gru:hidden=9,norm=layer")
    inputs = 3


class TestGRUWithResetBefore(CompiledTests):
    __test__ = True
    cell = twin("gru:hidden=9,reset=before")


class TestMinGRU(CompiledTests):
    __test__ = True
    cell = twin("mingru:hidden=9")


class TestMinLSTM(CompiledTests):
    __test__ = True
    cell = twin("minlstm:hidden=9")


class TestIndRNN(CompiledTests):
    __test__ = True
    cell = twin("indrnn:hidden=9")


class TestIndRNNWithSigmoid(CompiledTests):
    __test__ = True
    cell = twin("indrnn:hidden=5,activation=sigmoid")


class TestIndRNNWithTanh(CompiledTests):
    __test__ = True
    cell = twin("indrnn:hidden=5,activation=tanh")


class TestIndRNNWithIdentity(CompiledTests):
    __test__ = True
    cell = twin("indrnn:hidden=3,activation=identity")


class TestLRU(CompiledTests):
    __test__ = True
    cell = twin("lru:units=9,states=5")


class TestRGLRU(CompiledTests):
    __test__ = True
    cell = twin("rglru")
    inputs = 9


class TestLinearAttention(CompiledTests):
    __test__ = True
    cell = twin("linear-attention:heads=2,keys=3,values=2")


class TestPeepholeLSTM(CompiledTests):
    __test__ = True
    cell = twin("peephole-lstm:hidden=9")


class TestSelectiveSSM(CompiledTests):
    __test__ = True
    cell = twin("selective-ssm:states=3,rank=2")


class TestSLSTM(CompiledTests):
    __test__ = True
    cell = twin("slstm:hidden=9")


class TestKernels(KernelsTests):
    kernels = "compiled"
