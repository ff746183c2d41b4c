"""The conformance suite of media."""

import tempfile

import numpy as np
import pytest

import rnnframe as rf
from rnnframe import testing
from rnnframe.plugin import OptionError, SnapshotLayout


class TestExample(testing.MediumTests):
    """Every check of the suite, in a folder of its own, so that it is seen whether anything stays behind."""

    medium = f"example:path={tempfile.gettempdir()}"


def test_a_folder_that_is_not_there_is_one_clear_line() -> None:
    """Whoever misspells the path is told so before the run begins."""
    state = rf.Vector.zeros({"h": (1, 1)}, np.dtype("float32"))
    layout = SnapshotLayout(slots=1, state_bytes=state.nbytes, new_state=lambda: state)
    with pytest.raises(OptionError, match=r"medium 'example': path=/not/there: No such file"):
        rf.medium("example:path=/not/there").open(layout)
