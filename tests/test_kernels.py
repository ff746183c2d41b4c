"""Kernels are chosen layer by layer, the best first, whoever provides them; and their suite finds what is wrong."""

from types import ModuleType
from typing import ClassVar

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError, PluginError, UnknownNameError
from rnnframe.plugin import Cell, Kernels, hookimpl
from rnnframe.testing import check_cell, check_kernels

ELMAN = type(rf.cell("elman"))


@attrs.frozen(kw_only=True)
class Own(ELMAN):
    name: ClassVar[str] = "own"


@attrs.frozen(kw_only=True)
class Twin(Cell):
    """A twin as the documentation shows one: it declares what its cell declares, and has no name."""

    cell: Cell

    def parameters(self, inputs):
        return self.cell.parameters(inputs)

    def initialize(self, parameters, rng):
        self.cell.initialize(parameters, rng)

    def state(self, inputs):
        return self.cell.state(inputs)

    def tape(self, inputs):
        return self.cell.tape(inputs)

    def retained_arrays(self, inputs, retention):
        return self.cell.retained_arrays(inputs, retention)

    def rebuild(self, block, retention):
        self.cell.rebuild(block, retention)

    def scratch(self, inputs):
        return self.cell.scratch(inputs)

    def derived(self, inputs):
        return self.cell.derived(inputs)

    def derive(self, weights):
        self.cell.derive(weights)

    def derive_reverse(self, weights):
        self.cell.derive_reverse(weights)

    def forward(self, block):
        self.cell.forward(block)

    def backward(self, block, dh, dstate, gradients, dx):
        self.cell.backward(block, dh, dstate, gradients, dx)


@attrs.frozen(kw_only=True)
class Mine(Kernels):
    name: ClassVar[str] = "mine"
    replaced: ClassVar[tuple[type, ...]] = (Own,)
    made: ClassVar[type] = Twin

    def missing(self):
        return ""

    def twin(self, layer, dtype):
        return self.made(hidden=layer.hidden, cell=layer) if type(layer) in self.replaced else None

    def cells(self):
        return tuple(cls.name for cls in self.replaced)


def registry_with(*classes, cells=(Own,)):
    registry = rf.Registry.installed()
    plugin = ModuleType("third_party")
    plugin.rnnframe_kernels = hookimpl(lambda: list(classes))
    plugin.rnnframe_cells = hookimpl(lambda: list(cells))
    registry.register(plugin, "third-party")
    return registry


def kernels_of(registry, kernels="auto", cells=("own:hidden=4", "elman:hidden=4")):
    network = rf.Network(cells, "mse:outputs=1", 2, registry=registry)
    return rf.Engine(network, kernels=kernels).running.kernels


@pytest.fixture(params=["with numba", "without"])
def built_in(request, monkeypatch):
    """The name of what computes built-in cells by default."""
    monkeypatch.delenv("RNNFRAME_KERNELS", raising=False)
    compiled = type(rf.default_registry().kernels("compiled"))
    if request.param == "without":
        monkeypatch.setattr(compiled, "missing", lambda self: "not here")
    return "numpy" if compiled().missing() else "compiled"


def test_auto_chooses_kernels_layer_by_layer(built_in):
    assert kernels_of(registry_with(Mine)) == ("mine", built_in)


def changed(name, base=Mine, **members):
    return attrs.frozen(kw_only=True)(type(name, (base,), {"name": name, "__module__": __name__, **members}))


def test_of_two_kernels_with_a_twin_the_higher_rank_is_used_then_the_installed_one(built_in):
    better = changed("better", replaced=(Own, ELMAN), rank=1)
    rival = changed("a-rival", replaced=(ELMAN,))
    assert kernels_of(registry_with(Mine, better)) == ("better", "better")
    assert kernels_of(registry_with(Mine, rival)) == ("mine", "a-rival")
    low = changed("low", replaced=(ELMAN,), rank=-1)
    assert kernels_of(registry_with(Mine, low)) == ("mine", "low" if built_in == "numpy" else built_in)


def test_named_kernels_are_combined_in_the_order_given(built_in):
    everything = changed("everything", replaced=(Own, ELMAN))
    registry = registry_with(Mine, everything)
    assert kernels_of(registry, "mine") == ("mine", "numpy")
    assert kernels_of(registry, "mine+everything") == ("mine", "everything")
    assert kernels_of(registry, "everything+mine") == ("everything", "everything")
    assert kernels_of(registry, "mine+numpy") == ("mine", "numpy")
    if built_in == "compiled":
        assert kernels_of(registry, "mine + compiled") == ("mine", "compiled")
    with pytest.raises(UnknownNameError, match=r"kernels 'mien'.*did you mean 'mine'"):
        kernels_of(registry, "everything+mien")


def test_kernels_that_fail_are_left_out_of_auto_and_told(capsys, built_in):
    def missing(self):
        raise ZeroDivisionError("odd")

    broken = changed("broken", missing=missing, replaced=(Own, ELMAN), rank=5)
    assert kernels_of(registry_with(Mine, broken)) == ("mine", built_in)
    told = capsys.readouterr().err
    assert "kernels 'broken' of plugin 'third-party' of local - is left out: ZeroDivisionError: odd" in told
    unusable = changed("unusable", missing=lambda self: "buy a licence")
    with pytest.raises(OptionError, match="kernels='unusable': buy a licence"):
        kernels_of(registry_with(unusable), "unusable")


@pytest.mark.parametrize("twin", [lambda self, layer, dtype: 1 / 0, lambda self, layer, dtype: "a twin"])
def test_a_twin_that_cannot_be_made_names_its_plugin(twin):
    broken = changed("broken", twin=twin)
    with pytest.raises(PluginError, match="kernels 'broken' of plugin 'third-party'"):
        kernels_of(registry_with(broken), "broken")


def test_what_a_twin_raises_names_the_plugin_of_the_registry_in_use():
    def forward(self, block):
        raise ZeroDivisionError("odd")

    failing = attrs.frozen(kw_only=True)(type("Failing", (Twin,), {"forward": forward, "name": "own"}))
    registry = registry_with(changed("failing", made=failing))
    network = rf.Network(["own:hidden=4"], "mse:outputs=1", 2, registry=registry)
    with pytest.raises(ZeroDivisionError) as raised:
        rf.Engine(network, kernels="failing").gradients(np.zeros((3, 2, 2)), np.zeros((3, 2, 1)))
    assert raised.value.__notes__ == ["in layer0, cell 'own' of plugin 'third-party' of local -"]


def test_a_twin_without_a_name_goes_through_the_suite_of_cells():
    report = check_cell(Twin(hidden=3, cell=rf.cell("elman:hidden=3")))
    assert report.passed, str(report)
    assert report.subject == "Twin"


@pytest.fixture
def in_use():
    """Make a registry the default one, as a command does that was given a plugin."""
    from rnnframe.registry.registry import using

    def check(cls):
        with using(registry_with(cls)):
            return check_kernels(cls())

    return check


def test_the_suite_passes_sound_kernels(in_use):
    report = in_use(Mine)
    assert report.passed, str(report)


def twin_with(**methods):
    return attrs.frozen(kw_only=True)(type("Wrong", (Twin,), methods))


def shifted(self, block):
    self.cell.forward(block)
    block.tape["h"][1:] += 1e-3


WRONG = {
    "networks compute the same": {"made": twin_with(forward=shifted)},
    "a twin declares what its cell declares": {
        "made": twin_with(parameters=lambda self, inputs: {**self.cell.parameters(inputs), "more": (2,)})
    },
    "a subclass of a cell has no twin": {
        "twin": lambda self, layer, dtype: Twin(hidden=layer.hidden, cell=layer) if isinstance(layer, Own) else None
    },
    "cells are named and have twins": {"cells": lambda self: ("own", "lstm")},
    "what is missing is said in one line": {"missing": lambda self: None},
}


@pytest.mark.parametrize("check", WRONG)
def test_the_suite_finds_wrong_kernels(in_use, check):
    report = in_use(changed("wrong", **WRONG[check]))
    assert any(outcome.title.startswith(check) for outcome in report.failed), str(report)
