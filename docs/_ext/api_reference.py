"""Write docs/reference/api.md from the doors of the package: `python docs/_ext/api_reference.py`. A test compares."""

import importlib
import inspect
from pathlib import Path
from types import ModuleType

import rnnframe
from rnnframe import errors, plugin, schedules, testing
from rnnframe.inspection import timeline

PAGE = Path(__file__).parent.parent / "reference" / "api.md"
HEAD = """\
# Python API

Every public name, by the module from which it is imported. `sphinx-build docs build/site` adds the docstrings here;
`help(rnnframe.Engine)` prints them too. Arrays are time-major: [T, B, features].

In signatures, `Array` is a numpy array, and `Arrays`, `Shapes`, `Widths` and `Sizes` are mappings from names to arrays,
shapes, widths, and widths or shapes.
"""
DOORS = {
    rnnframe: "Names for building, training and using networks.",
    schedules: "The parts of a strategy: [actions](actions.md), the grid that divides time into chunks, the simulator.",
    errors: "The exceptions; every message is one line.",
    plugin: "Names for writing a plugin: base classes ([what their methods must do](plugins.md)) and tools. It\n"
    "also offers the names of the modules above that a plugin needs.",
    testing: "Names for testing a plugin ([how to](../how-to/test-a-plugin.md)); the checks of each suite are in\n"
    "[checks](checks.md).",
    timeline: "The schedule of a plan as lines and bars over time, for your own pictures\n"
    "([how to](../how-to/plan.md#from-python)).",
}
NAMES = {timeline: ["timeline_of", "Timeline", "Run", "Bar", "Held"], errors: None}


def public_names() -> dict[str, ModuleType]:
    """Return every public name once, with its first door -> the module of that door."""
    seen: set[int] = set()
    found: dict[str, ModuleType] = {}
    for module in DOORS:
        for name in names_of(module):
            thing = getattr(module, name)
            if id(thing) not in seen or isinstance(thing, str | int | tuple):
                found[f"{module.__name__}.{name}"] = module
            seen.add(id(thing))
    return found


def names_of(module: ModuleType) -> list[str]:
    """Return the names that a door offers."""
    listed = NAMES.get(module) or getattr(module, "__all__", None)
    own = [
        name for name, thing in vars(module).items() if inspect.isclass(thing) and thing.__module__ == module.__name__
    ]
    return list(listed or own)


def reference() -> str:
    """Return the page."""
    parts = [HEAD]
    names = public_names()
    for module, about in DOORS.items():
        parts += [f"## {module.__name__}\n", about + "\n", "```{eval-rst}"]
        for name, door in names.items():
            if door is module:
                parts.append(_directive(name))
        parts.append("```\n")
    return "\n".join(parts).rstrip() + "\n"


def _directive(name: str) -> str:
    module, _, short = name.rpartition(".")
    thing = getattr(importlib.import_module(module), short)
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return f".. autoexception:: {name}\n   :show-inheritance:\n"
    if inspect.isclass(thing):
        return f".. autoclass:: {name}\n   :members:\n"
    if inspect.isfunction(thing):
        return f".. autofunction:: {name}\n"
    return f".. autodata:: {name}\n   :no-value:\n"


if __name__ == "__main__":
    PAGE.write_text(reference())
