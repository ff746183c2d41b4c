"""Plugins with one fault planted in their source text, in memory."""

import importlib
import inspect
import sys
import unittest
from types import ModuleType

import attrs

from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import Spec
from rnnframe.testing import Suite
from rnnframe.testing.suite import title_of


@attrs.frozen
class Mutant:
    """A fault: in `module` the text `old`, which occurs once, becomes `new`; `caught_by` is part of a check's name.

    `suite` is the class that tests the sound plugin, and `home` the module of its class where that is another one.
    """

    fault: str
    suite: type[Suite]
    module: str
    old: str
    new: str
    caught_by: str
    home: str = ""

    def __str__(self) -> str:
        return f"{self.suite.__name__.removeprefix('Test')}: {self.fault}"


def mutated(mutant: Mutant, monkeypatch) -> type[Suite]:
    """Return the suite with the plugin that has the fault."""
    module = _executed(mutant.module, (mutant.old, mutant.new), monkeypatch)
    if mutant.home:
        monkeypatch.setitem(sys.modules, mutant.module, module)
        module = _executed(mutant.home, ("", ""), monkeypatch)
    kind = mutant.suite.kind
    sound = mutant.suite().subject
    cls = getattr(module, type(sound).__name__)
    spec = Spec.parse(getattr(mutant.suite, kind), kind)
    return type("Mutated", (mutant.suite,), {kind: default_registry().build(cls, spec.options, kind, spec.name)})


def _executed(name: str, change: tuple[str, str], monkeypatch) -> ModuleType:
    original = importlib.import_module(name)
    source, (old, new) = inspect.getsource(original), change
    if old:
        assert source.count(old) == 1, f"{old!r} occurs {source.count(old)} times in {name}"
    module = ModuleType(f"{name}_with_a_fault")
    module.__file__ = original.__file__
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where annotations are looked up
    exec(compile(source.replace(old, new) if old else source, module.__name__, "exec"), vars(module))
    return module


def first_failure(suite: type[Suite], likely: str) -> str | None:
    """Return the title and message of the first check that fails, those with a likely name first."""
    names = sorted(suite.checks(), key=lambda name: likely not in title_of(name))
    for name in names:
        try:
            getattr(suite(), name)()
        except unittest.SkipTest:
            continue
        except Exception as failure:  # whatever the plugin raises is a finding
            return f"{title_of(name)}: {failure}"
    return None
