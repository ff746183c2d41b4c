"""Every cell that rnnframe brings goes through the suite that third parties use."""

import re

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


class TestLSTMWithMasks(CellTests):
    cell = "lstm:hidden=3,weight_drop=0.5,recurrent_dropout=0.4,zoneout=0.2,zoneout_cell=0.4"


class TestLSTMWithRecurrentDropout(CellTests):
    cell = "lstm:hidden=3,recurrent_dropout=0.4"


class TestGRUWithMasks(CellTests):
    cell = "gru:hidden=3,weight_drop=0.5,recurrent_dropout=0.4,zoneout=0.2"


class TestGRUWithMasksAndResetBefore(CellTests):
    cell = "gru:hidden=3,recurrent_dropout=0.4,zoneout=0.2,reset=before"


class TestElmanWithMasks(CellTests):
    cell = "elman:hidden=3,weight_drop=0.5,recurrent_dropout=0.4"


class TestLSTMWithLearntStart(CellTests):
    cell = "lstm:hidden=3,start=learnt"


class TestLSTMWithProjection(CellTests):
    cell = "lstm:hidden=4,projection=2"


class TestLSTMWithProjectionAndMasks(CellTests):
    cell = "lstm:hidden=4,projection=2,weight_drop=0.5,recurrent_dropout=0.4,zoneout=0.2,zoneout_cell=0.4"


class TestLSTMWithNorm(CellTests):
    cell = "lstm:hidden=3,norm=layer"


class TestLSTMWithNormProjectionAndMasks(CellTests):
    cell = "lstm:hidden=4,norm=layer,projection=3,weight_drop=0.5,zoneout=0.2,zoneout_cell=0.4"


class TestGRUWithNorm(CellTests):
    cell = "gru:hidden=3,norm=layer"


class TestGRUWithNormAndMasks(CellTests):
    cell = "gru:hidden=4,norm=layer,weight_drop=0.5,zoneout=0.2"


class TestDropout(CellTests):
    cell = "dropout:rate=0.3"


class TestVariationalDropout(CellTests):
    cell = "dropout:rate=0.3,variational=yes"


class TestPeepholeLSTM(CellTests):
    cell = "peephole-lstm:hidden=3"


class TestSLSTM(CellTests):
    cell = "slstm:hidden=3"


class TestMinGRU(CellTests):
    cell = "mingru:hidden=3"


class TestMinLSTM(CellTests):
    cell = "minlstm:hidden=3"


class TestIndRNN(CellTests):
    cell = "indrnn:hidden=3"


class TestLRU(CellTests):
    cell = "lru:units=3,states=2"


class TestRGLRU(CellTests):
    cell = "rglru"


class TestLinearAttention(CellTests):
    cell = "linear-attention:heads=2,keys=3,values=2"


class TestSelectiveSSM(CellTests):
    cell = "selective-ssm:states=3,rank=2"


class TestEmbedding(CellTests):
    cell = "embedding:size=3"


class TestDense(CellTests):
    cell = "dense:units=3"


class TestDenseWithGelu(CellTests):
    cell = "dense:units=5,activation=gelu"


class TestGatedUnits(CellTests):
    cell = "gated-units:units=3,activation=silu"


class TestLayerNorm(CellTests):
    cell = "layer-norm"


class TestConvolution(CellTests):
    cell = "convolution:taps=4"


class TestMeanPool(CellTests):
    cell = "mean-pool"


class TestMaxPool(CellTests):
    cell = "max-pool"


class TestAttentionPool(CellTests):
    cell = "attention-pool:units=3"


class TestResidual(CellTests):
    cell = "residual(layer-norm dropout:rate=0.3 mingru:hidden=3 dense:units=4)"


class TestResidualOfOneLayer(CellTests):
    cell = "residual(gru:hidden=4)"


class TestHighway(CellTests):
    cell = "highway(dense:units=3 lstm:hidden=4,zoneout=0.2)"


class TestNestedBlocks(CellTests):
    cell = "residual(highway(elman:hidden=4) dropout)"


def test_every_cell_that_rnnframe_brings_goes_through_the_suite():
    registry = rf.default_registry()
    brought = {n for n in registry.names("cell") if registry.owner("cell", n).distribution == "rnnframe"}
    brought.remove("bidirectional")  # which needs both ends of a sample: test_two_directions.py
    assert {
        re.split("[:(]", suite.cell)[0] for suite in CellTests.__subclasses__() if suite.__module__ == __name__
    } == (brought)
