"""Every head goes through the suite that third parties use."""

import rnnframe as rf
from rnnframe.testing import HeadTests, LossTests, ReadoutTests


class TestAffine(ReadoutTests):
    readout = "affine"


class TestTied(ReadoutTests):
    readout = "tied"


class TestWeightedSoftmax(LossTests):
    loss = "softmax:classes=3,class_weights=1;0.5;2,smoothing=0.2"


class TestHead(HeadTests):
    head = "mse:outputs=2,readout=affine"


class TestSoftmax(LossTests):
    loss = "softmax:classes=4"


class TestMeanSquaredError(LossTests):
    loss = "mse:outputs=3"


class TestPinball(LossTests):
    loss = "pinball:outputs=2,quantiles=0.1;0.8"


class TestBernoulli(LossTests):
    loss = "bernoulli:outputs=3"


def test_every_head_goes_through_the_suite():
    suites = [suite for suite in LossTests.__subclasses__() if suite.__module__ == __name__]
    assert {suite.loss.partition(":")[0] for suite in suites} == set(rf.default_registry().names("loss"))
