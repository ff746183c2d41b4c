"""What the suites tell, and how they are used with pytest and without."""

import subprocess
import sys
from typing import ClassVar

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import UsageError
from rnnframe.plugin import Cell, StateStore, rows
from rnnframe.schedules import Forget, Forward, Reverse, Update
from rnnframe.testing import CellTests, OptimizerTests, StateStoreTests, check_cell, check_optimizer, check_store, run

ELMAN, DENSE = type(rf.cell("elman")), type(rf.cell("dense"))


def message_of(cell: type[Cell], check: str) -> str:
    """Return what a check says about a cell class."""
    with pytest.raises(AssertionError) as failure:
        getattr(type("Tried", (CellTests,), {"cell": cell(hidden=3)})(), check)()
    return str(failure.value)


def wrong(**methods):
    """Return an elman cell with some methods exchanged."""
    body = {"name": "wrong", "__module__": __name__, **methods}
    return attrs.frozen(kw_only=True)(type("Wrong", (ELMAN,), body))


def test_a_report_holds_an_outcome_for_every_check():
    report = check_cell("gru:hidden=2")
    assert (report.kind, report.subject, report.passed) == ("cell", "gru:hidden=2,reset=after", True)
    assert [outcome.check for outcome in report.outcomes] == CellTests.checks()
    columns = "test_x_may_be_columns_of_a_wider_block_where_the_cell_says_so"  # the cell does not say so
    left_out = "test_what_a_whole_tape_leaves_out_is_made_again_bit_for_bit"  # nothing is
    multiplies = "test_a_layer_that_says_it_multiplies_nothing_computes_no_product_of_matrices"  # it says that it does
    assert {outcome.check for outcome in report.outcomes if outcome.status != "ok"} == {columns, left_out, multiplies}
    assert all(outcome.seconds >= 0 for outcome in report.outcomes)


def test_a_check_is_switched_off_by_none_and_others_are_added():
    class Mine(CellTests):
        cell = "elman:hidden=2"
        test_in_threads_the_gradients_are_those_of_one = None

        def test_of_my_own(self):
            raise ValueError("no way")

    report = run(Mine())
    assert len(report.outcomes) == len(CellTests.checks())
    (failed,) = report.failed
    assert failed.title == "of my own"
    assert failed.message.startswith("ValueError: no way\nin ")
    assert f"{__file__}, line" in failed.message
    assert "  FAILED  of my own" in str(report).splitlines()
    assert str(report).splitlines()[-1].startswith("27 ok, 1 failed, ")


def test_a_suite_without_a_subject_says_what_to_write():
    with pytest.raises(UsageError, match=r"StateStoreTests needs a subject to check: write store = \.\.\."):
        run(StateStoreTests())


def test_what_does_not_apply_is_skipped_with_the_reason():
    skipped = {outcome.title: outcome.message for outcome in check_store("full-history").outcomes if outcome.message}
    assert skipped["its windows are those that are declared"] == "the store is exact: its one window is the sequence"
    assert "  skipped a budget is kept" in str(check_store("full-history"))


def test_windows_and_references_are_given_without_a_class_too():
    def windows(steps):
        return [(max(0, t - 2), t, min(t + 2, steps)) for t in range(0, steps, 2)]

    assert check_store("circular-queue:k1=2,k2=4", windows).passed
    assert not check_store("circular-queue:k1=2,k2=5", windows).passed
    assert check_optimizer("sgd:lr=0.5", lambda p, g: p - 0.5 * np.cumsum(g, axis=0)).passed
    (failed,) = check_optimizer("sgd:lr=0.5", lambda p, g: p - 0.4 * np.cumsum(g, axis=0)).failed
    assert failed.message.startswith("parameters after update 1: relative difference")


def test_an_array_put_in_the_place_of_another_is_named():
    def forward(self, block):
        tape, h = block.tape, block.tape["h"].copy()
        ELMAN.forward(self, attrs.evolve(block, tape={"h": h}))
        tape["h"] = h.astype("float64")

    assert message_of(wrong(forward=forward), "test_forward_writes_all_of_its_tape_and_nothing_else") == (
        "forward put another array in the place of tape['h'] (float64 [6, 3, 3]); "
        "write into the one that is there: tape['h'][...] = ..."
    )


def test_what_is_written_beside_an_array_is_found():
    def backward(self, block, dh, dstate, gradients, dx):
        ELMAN.backward(self, block, dh, dstate, gradients, dx)
        np.lib.stride_tricks.as_strided(gradients["b"], (4,), gradients["b"].strides)[3] = 1

    found = message_of(wrong(backward=backward), "test_backward_writes_nothing_but_its_results")
    assert found == "backward writes beside gradients['b'], which has the shape [3]"


def test_a_tape_that_is_not_written_is_named_with_the_place():
    found = message_of(
        wrong(tape=lambda self, inputs: {"h": self.hidden, "souvenir": 2}),
        "test_forward_writes_all_of_its_tape_and_nothing_else",
    )
    assert found.startswith("tape['souvenir'] is NaN at [0, 0, 0], dense inputs, block of 5, batch of 3: ")


def test_what_is_declared_wrongly_is_named():
    check = "test_what_the_cell_declares_fits_together"
    assert message_of(wrong(tape=lambda self, inputs: {"h": 7}), check).startswith(
        "tape(inputs)['h'] is 7; h is the output"
    )
    assert message_of(wrong(scratch=lambda self, inputs: {"a": 2.5}), check) == (
        "scratch(inputs)['a'] is 2.5; expected integers of at least 1"
    )
    assert "is in parameters() and in derived()" in message_of(wrong(derived=lambda self, inputs: {"W": (3, 3)}), check)


def test_a_forward_that_reads_what_is_derived_for_the_reverse_is_named():
    def forward(self, block):
        ELMAN.forward(self, attrs.evolve(block, weights={**block.weights, "W": block.weights["WT"].T}))

    check = "test_forward_reads_no_array_that_is_derived_for_the_reverse_alone"
    assert message_of(wrong(forward=forward), check).startswith("tape['h'] without derive_reverse: not equal")


def test_a_cell_that_says_that_it_takes_columns_and_does_not_is_named():
    def forward(self, block):
        x = block.x
        dense = np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape, x.dtype).strides)
        ELMAN.forward(self, attrs.evolve(block, x=dense))

    cell = wrong(forward=forward, accepts_strided_steps=lambda self, inputs: True)
    check = "test_x_may_be_columns_of_a_wider_block_where_the_cell_says_so"
    assert "of columns" in message_of(cell, check)


def test_a_derived_array_that_nobody_reads_is_named():
    def derive(self, weights):
        ELMAN.derive(self, weights)
        weights["spare"].fill(1)

    cell = wrong(derived=lambda self, inputs: {"WT": (3, 3), "spare": (2,)}, derive=derive)
    assert message_of(cell, "test_derived_arrays_are_used") == "derived(inputs)['spare'] is never read; leave it out"


def test_an_option_that_cannot_be_written_down_is_found():
    @attrs.frozen(kw_only=True)
    class Odd(ELMAN):
        name: ClassVar[str] = "odd"
        letters: dict[str, int] = attrs.Factory(lambda: {"a": 1})

    found = message_of(Odd, "test_the_options_written_down_make_an_equal_object")
    assert found.startswith("\"odd:hidden=3,activation=tanh,letters={'a': 1}\" makes Odd(hidden=3,")


def test_a_store_that_keeps_its_past_in_vain_is_told_what_to_do():
    @attrs.frozen(kw_only=True)
    class Hoarder(StateStore):
        name: ClassVar[str] = "hoarder"
        exact: ClassVar[bool] = False

        def schedule(self, grid, costs):
            for n in range(grid.chunks):
                yield Forward(n, n + 1, keep=True)
                yield Reverse(n + 1, n, losses_from=n, keep=True)
                yield Update()
            yield Forget(grid.chunks)

    (failed,) = check_store(Hoarder()).failed
    assert failed.title == "it keeps no tape in vain"
    assert failed.message == (
        "2 steps in chunks of 1 (snapshot 1, tape 1 bytes): the tape of chunk 0 waits at Forward(start=1, stop=2, "
        "keep=True) and is not reversed any more; release it with Forget, or with a Reverse that does not keep it"
    )


def test_a_store_that_breaks_the_rules_is_told_where():
    @attrs.frozen(kw_only=True)
    class Hasty(StateStore):
        name: ClassVar[str] = "hasty"

        def schedule(self, grid, costs):
            yield Forward(0, grid.chunks, keep=True)
            yield Reverse(grid.chunks, 1 if grid.chunks > 4 else 0)

    report = check_store(Hasty())
    message = next(outcome.message for outcome in report.failed if outcome.title.endswith("over a grid of cases"))
    assert message == (
        "5 steps in chunks of 1 (snapshot 1, tape 1 bytes): "
        "the schedule ends with 1 tapes in the ring and slots [] in use"
    )


def test_importing_the_suites_imports_no_test_framework_and_rnnframe_imports_no_suite():
    program = """
        import sys
        import rnnframe
        assert "rnnframe.testing" not in sys.modules
        import rnnframe.testing
        assert not {"pytest", "hypothesis"} & set(sys.modules), sys.modules.keys()
        from rnnframe.registry.registry import installed_registry
        assert installed_registry.cache_info().currsize == 0
    """
    subprocess.run([sys.executable, "-c", "\n".join(line.strip() for line in program.splitlines())], check=True)


def test_importing_rnnframe_imports_what_is_asked_for_and_offers_every_public_name():
    program = """
        import sys
        import rnnframe
        assert not {"numpy", "pluggy", "attrs"} & set(sys.modules), sys.modules.keys()
        assert {*rnnframe.__all__, "errors", "plugin", "schedules", "testing"} <= set(dir(rnnframe))
        assert rnnframe.errors.RnnframeError is rnnframe.RnnframeError
        assert callable(rnnframe.schedules.simulate)
        assert not hasattr(rnnframe, "Netwrok")
        from rnnframe import *
        assert all(callable(globals()[name]) for name in rnnframe.__all__)
    """
    subprocess.run([sys.executable, "-c", "\n".join(line.strip() for line in program.splitlines())], check=True)


def test_an_optimizer_that_goes_uphill_is_told_how_far_it_came():
    sgd = type(rf.optimizer("sgd"))

    @attrs.frozen(kw_only=True)
    class Uphill(sgd):
        name: ClassVar[str] = "uphill"

        def update(self, parameters, gradients, slots, step, lr):
            super().update(parameters, gradients, slots, step, -lr)

    class Tried(OptimizerTests):
        optimizer = Uphill(lr=0.1)
        updates: ClassVar = {"quadratic": 100, "rosenbrock": 100}

    titles = {outcome.title: outcome.message for outcome in run(Tried()).failed}
    assert set(titles) == {"it goes down an ill conditioned quadratic", "it goes down the valley of rosenbrock"}
    assert titles["it goes down the valley of rosenbrock"].startswith("after 100 updates ")


@pytest.mark.parametrize(
    ("place", "product", "name"),
    [
        ("forward", lambda block: rows(block.x) @ block.weights["U"], "matmul"),
        ("forward", lambda block: np.einsum("lbi,ij->lbj", block.x * 1, block.weights["U"]), "einsum"),
        ("backward", lambda block: np.dot(np.asarray(block.tape["y"]), block.weights["U"].T), "dot"),
        ("rebuild", lambda block: np.tensordot(block.x, block.weights["U"], 1), "tensordot"),
    ],
)
def test_a_layer_that_multiplies_and_says_that_it_does_not_is_told_by_what(place, product, name):
    body = {"name": "wrong", "__module__": __name__, "multiplies": False}
    without = {method: lambda self, block, *rest: None for method in ("forward", "backward", "rebuild")}
    cls = attrs.frozen(kw_only=True)(type("Wrong", (DENSE,), body | without | {place: lambda s, b, *r: product(b)}))
    check = "test_a_layer_that_says_it_multiplies_nothing_computes_no_product_of_matrices"
    with pytest.raises(AssertionError, match=f"numpy.{name} multiplies matrices"):
        getattr(type("Tried", (CellTests,), {"cell": cls(units=3), "lookup": False})(), check)()
