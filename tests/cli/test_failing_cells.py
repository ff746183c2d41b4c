"""Cells and media of other people that fail while they run: the error names them and their plugin."""

from pathlib import Path
from textwrap import dedent

import pytest

from .conftest import Run

CELL = """
    import attrs
    import numpy as np
    from rnnframe.plugin import StepCell
    from rnnframe_cells import Elman

    @attrs.frozen(kw_only=True)
    class Theirs({base}):
        name = "theirs"
        {members}
"""
STEP = (
    "reverse = 'auto'; parameters = lambda self, inputs: {{'U': (inputs, 3)}}; "
    "step = lambda self, p, xU, state: {{'h': {formula}}}"
)
FAILING = {
    "a tape that is not declared": (
        "Elman",
        "forward = lambda self, block: block.tape['gates'].fill(0)",
        "KeyError: 'gates' ({where}; RNNFRAME_TRACEBACK=1 shows where)",
        1,
    ),
    "a reverse that raises": (
        "Elman",
        "backward = lambda self, *given: [][0]",
        "IndexError: list index out of range ({where}; RNNFRAME_TRACEBACK=1 shows where)",
        1,
    ),
    "a step of the wrong shape": (
        "StepCell",
        STEP.format(formula="xU[0]"),
        "cell 'theirs': step returned 'h' of shape [3]; expected [2, 3], batch first ({where})",
        1,
    ),
    "a step that cannot be followed": (
        "StepCell",
        STEP.format(formula="np.fmod(xU, 2)"),
        "an automatic reverse cannot follow np.fmod; write the step otherwise, or give the cell a step_backward "
        "({where})",
        2,
    ),
}


@pytest.mark.parametrize(("base", "members", "message", "code"), FAILING.values(), ids=FAILING)
def test_the_error_names_the_cell_and_its_plugin(
    run: Run, text: Path, tmp_path: Path, base: str, members: str, message: str, code: int
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(dedent(CELL).format(base=base, members=members))
    small = ("--data", text, "--cell", "theirs:hidden=3", "--batch", 2, "--epochs", 1, "--quiet")
    outcome = run("--plugin", path, "train", *small)
    where = f"in layer0, cell 'theirs' of plugin 'mine' of {path}"
    assert (outcome.code, outcome.err) == (code, f"rnnframe: error: {message.format(where=where)}\n")


MEDIUM = """
    import attrs
    from rnnframe.plugin import Medium

    class Forgetful(dict):
        nbytes = 0

        def save(self, slot, state):
            self[slot % 2] = state.copy()

        def load(self, slot, state):
            state.copy_from(self[slot])

        def drop(self, slot):
            del self[slot]

    @attrs.frozen(kw_only=True)
    class Lossy(Medium):
        name = "lossy"

        def ram_bytes(self, state_bytes):
            return state_bytes

        def open(self, layout):
            return Forgetful()
"""


def test_the_error_names_a_medium_that_loses_a_snapshot_and_its_plugin(run: Run, text: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(dedent(MEDIUM))
    small = ("--data", text, "--cell", "elman:hidden=3", "--batch", 2, "--steps", 40, "--chunk", 5, "--epochs", 1)
    outcome = run("--plugin", path, "train", *small, "--store", "checkpoint:slots=5,medium=lossy", "--quiet")
    where = f"in slot -1, medium 'lossy' of plugin 'mine' of {path}"
    assert outcome.err == f"rnnframe: error: KeyError: -1 ({where}; RNNFRAME_TRACEBACK=1 shows where)\n"
