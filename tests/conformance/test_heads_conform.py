"""Every head goes through the suite that third parties use."""

import rnnframe as rf
from rnnframe.testing import HeadTests


class TestSoftmax(HeadTests):
    head = "softmax:classes=4"


class TestMeanSquaredError(HeadTests):
    head = "mse:outputs=3"


class TestBernoulli(HeadTests):
    head = "bernoulli:outputs=3"


def test_every_head_goes_through_the_suite():
    suites = [suite for suite in HeadTests.__subclasses__() if suite.__module__ == __name__]
    assert {suite.head.partition(":")[0] for suite in suites} == set(rf.default_registry().names("head"))
