"""Plugins that are not packaged: a file, or a module by its dotted name, for trying things out.

They are named with `rnnframe --plugin FILE.py` or `RNNFRAME_PLUGINS=a.py,b.py`, and `Registry.add_local` takes them in.
A run folder writes down which of them it needs; it never runs them on its own, since a folder may come from anyone.
"""

import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from rnnframe.errors import PluginError, UsageError
from rnnframe.registry.hooks import hookimpl
from rnnframe.registry.records import PluginRecord

VARIABLE = "RNNFRAME_PLUGINS"


def is_file(source: str) -> bool:
    """Whether a source is meant as a file and not as a module."""
    return source.endswith(".py") or os.sep in source


def resolve_source(source: str) -> tuple[str, str]:
    """Return the plugin's name and the source as it is written down: an absolute path, or the module's name."""
    return (Path(source).stem, os.path.abspath(source)) if is_file(source) else (source, source)


def load(source: str, kinds: Mapping[str, type[Any]]) -> ModuleType:
    """Run a file, or import a module (also from the current folder), and return it with hook implementations.

    One without any gets them: for each hook in `kinds` the classes that are defined there, derive from the hook's base
    class and have a `name` of their own. Raises `PluginError`, and whatever the module raises.
    """
    module = _run(Path(source)) if is_file(source) else _import(source)
    if not any(hasattr(member, "rnnframe_impl") for member in vars(module).values()):
        _add_hooks(module, kinds)
    return module


def _run(path: Path) -> ModuleType:
    """Run a file afresh: a cached compilation could be older than what was saved a moment ago.

    It can import the modules beside it, then and later.
    """
    if not path.is_file():
        raise PluginError(f"there is no such file; give a FILE.py or the dotted name of a module, not {str(path)!r}")
    folder = hashlib.sha256(os.fsencode(path.parent)).hexdigest()[:8]
    module = ModuleType(f"rnnframe_local_{folder}_{path.stem}")
    module.__file__ = str(path)
    code = compile(importlib.util.decode_source(path.read_bytes()), str(path), "exec")
    sys.modules[module.__name__] = module  # where types are looked up that stand as text in annotations
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # last, so that a file beside it hides nothing that is installed
    try:
        exec(code, vars(module))
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def _import(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return importlib.import_module(name)


def _add_hooks(module: ModuleType, kinds: Mapping[str, type[Any]]) -> None:
    own = [cls for cls in vars(module).values() if isinstance(cls, type) and _defined_in(cls, module)]
    named = [cls for cls in dict.fromkeys(own) if "name" in vars(cls)]
    found = {hook: [cls for cls in named if issubclass(cls, base)] for hook, base in kinds.items()}
    if not any(found.values()):
        bases = ", ".join(f"rnnframe.plugin.{base.__name__}" for base in kinds.values())
        raise PluginError(f"it has no hook implementation and defines no class of {bases} with a `name`")
    for hook, classes in found.items():
        if classes:
            setattr(module, hook, hookimpl(_returning(classes)))


def _returning(classes: list[type[Any]]) -> Any:
    return lambda: classes


def _defined_in(cls: type, module: ModuleType) -> bool:
    return cls.__module__ == module.__name__ or cls.__module__.startswith(module.__name__ + ".")


def check_named(sources: Iterable[str], records: Iterable[PluginRecord], who: str) -> None:
    """Raise `UsageError` unless every source that `who` needs was named by the user, here or in another folder."""
    known = {name for record in records if record.status == "ok" for name in (record.source, record.name)}
    for source in sources:
        name, place = resolve_source(source)
        if known & {name, place}:
            continue
        if is_file(place) and not os.path.exists(place):
            raise UsageError(f"{who} needs the plugin file {place!r}, which is not there; put it back")
        raise UsageError(f"{who} needs the plugin {place!r}; name it: rnnframe --plugin {place} COMMAND ...")
