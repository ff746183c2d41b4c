"""The conformance suite of kernels, and what only the author knows."""

import numpy as np

import rnnframe as rf
from rnnframe import testing
from rnnframe.plugin import Kernels


class TestExample(testing.KernelsTests):
    """Every check of the suite: twins against their cells, in float32 and float64."""

    kernels = "example"


def test_another_activation_is_left_to_the_cell() -> None:
    """Kernels compute what they were written for, and nothing else."""
    kernels: Kernels = rf.default_registry().kernels("example")
    cells = (rf.cell(f"indrnn:activation={name}") for name in ("relu", "tanh"))
    assert [kernels.twin(cell, np.dtype("float32")) is None for cell in cells] == [False, True]
