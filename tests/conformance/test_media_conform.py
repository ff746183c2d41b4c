"""Every medium that rnnframe brings goes through the suite that third parties use."""

import tempfile

import pytest

import rnnframe as rf
from rnnframe.testing import MediumTests


class TestDisk(MediumTests):
    medium = f"disk:path={tempfile.gettempdir()}"


class TestFloat16(MediumTests):
    medium = "float16"
    tolerance = 1e-3


class TestBlosc2(MediumTests):
    medium = "blosc2:level=9"

    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("blosc2", reason="the extra `compress` is not installed")


def test_every_medium_that_rnnframe_brings_goes_through_the_suite():
    registry = rf.default_registry()
    brought = {n for n in registry.names("medium") if registry.owner("medium", n).distribution == "rnnframe"}
    suites = [suite for suite in MediumTests.__subclasses__() if suite.__module__ == __name__]
    assert {suite.medium.partition(":")[0] for suite in suites} == brought
