"""Finding plugins and what they provide, so that a broken one harms no other.

Every entry point of the group `rnnframe` is loaded and asked on its own. What fails becomes a record with a reason;
what works is known by name. `RNNFRAME_STRICT_PLUGINS=1` makes a failure fatal; `RNNFRAME_DISABLE_PLUGINS=a,b` skips
the plugins of these names; `RNNFRAME_PLUGINS=a.py,b.py` adds files and modules that are not installed.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, Self

import pluggy

from rnnframe.errors import PluginError, RnnframeError, ScheduleError, UsageError, unknown_name
from rnnframe.registry import files as local_plugins
from rnnframe.registry import hooks as hookspecs
from rnnframe.registry.blame import culprit, is_blamed
from rnnframe.registry.kinds import KINDS
from rnnframe.registry.records import PluginRecord
from rnnframe.registry.rules import check_class, check_command

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import click

GROUP = "rnnframe"
COMMANDS = "rnnframe_commands"
"""The hook whose answer is no classes."""

WITH_COMMANDS = ("onnx",)
"""The built-in plugins that add commands."""


def may_have_commands() -> "list[EntryPoint]":
    """Return the entry points of the built-in plugins with commands, and of all that are installed beside rnnframe."""
    from importlib.metadata import entry_points  # a slow import, not needed by `import rnnframe`

    points = entry_points(group=GROUP)
    return [at for at in points if at.dist is None or at.dist.name != "rnnframe" or at.name in WITH_COMMANDS]


def _say(line: str) -> None:
    print(f"rnnframe: {line}", file=sys.stderr)


class Plugins:
    """Everything that plugins provide, by kind and name, from plugins installed or registered by hand.

    trace: is told every hook call and its answer, a line each. tell: is told of a plugin that is broken and left out.
    """

    def __init__(
        self,
        *,
        strict: bool | None = None,
        disabled: Iterable[str] | None = None,
        trace: Callable[[str], None] | None = None,
        tell: Callable[[str], None] = _say,
    ) -> None:
        environment = os.environ
        self.strict = environment.get("RNNFRAME_STRICT_PLUGINS", "") not in ("", "0") if strict is None else strict
        names = environment.get("RNNFRAME_DISABLE_PLUGINS", "").split(",") if disabled is None else disabled
        self.disabled = {name.strip() for name in names} - {""}
        self.records: list[PluginRecord] = []
        self.commands: list[tuple[PluginRecord, click.Command]] = []
        """The commands of all plugins, in the order in which they were found; two may have one name."""
        self._tell = tell
        self.manager = pluggy.PluginManager("rnnframe")
        self.manager.add_hookspecs(hookspecs)
        if trace is not None:
            self.manager.add_hookcall_monitoring(lambda *_: None, functools.partial(_tell, trace))
        self._classes: dict[str, dict[str, type[Any]]] = {kind: {} for kind in KINDS}
        self._owners: dict[tuple[str, str], PluginRecord] = {}
        self._left_out: set[tuple[str, str]] = set()

    @classmethod
    def installed(cls, points: "Iterable[EntryPoint] | None" = None, **options: Any) -> Self:
        """Return every plugin installed in this environment or named in RNNFRAME_PLUGINS."""
        from importlib.metadata import entry_points  # a slow import, not needed by `import rnnframe`

        registry = cls(**options)
        found = entry_points(group=GROUP) if points is None else points
        for point in sorted(found, key=lambda p: (p.dist is None or p.dist.name != "rnnframe", p.name, p.value)):
            distribution, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "-")
            registry._load(PluginRecord(name=point.name, distribution=distribution, version=version), point.load)
        named = filter(None, map(str.strip, os.environ.get(local_plugins.VARIABLE, "").split(",")))
        for name, place in dict.fromkeys(map(local_plugins.resolve_source, named)):
            registry._load(*_local(name, place))
        return registry

    def register(self, plugin: object, name: str, distribution: str = "local", version: str = "-") -> PluginRecord:
        """Add a plugin object (a module, or anything with hook implementations); raises `PluginError` if broken."""
        return self._add(PluginRecord(name=name, distribution=distribution, version=version), lambda: plugin)

    def add_local(self, source: str) -> PluginRecord:
        """Add the plugin in a FILE.py or a module of that dotted name; raises `PluginError` if broken.

        Without hook implementations, every class of a contract that is defined there is taken.
        """
        record, load = _local(*local_plugins.resolve_source(source))
        for known in self.records:
            if known.source == record.source and known.status == "ok":
                return known
        return self._add(record, load)

    def _add(self, record: PluginRecord, load: Callable[[], object]) -> PluginRecord:
        self.records.append(record)
        try:
            with redirect_stdout(sys.stderr):  # what a command prints on stdout may be read by a program
                self._admit(load(), record)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._break(record, error)
            raise PluginError(f"{record} is broken: {record.reason}") from error
        return record

    def _load(self, record: PluginRecord, load: Callable[[], object]) -> None:
        """Add a plugin that the environment names: a broken one is told and left out."""
        if record.name in self.disabled:
            record.status, record.reason = "disabled", "by RNNFRAME_DISABLE_PLUGINS"
            self.records.append(record)
            return
        try:
            self._add(record, load)
        except PluginError:
            if self.strict:
                raise
            self._tell(f"{record} is broken and left out: {record.reason}")

    def _break(self, record: PluginRecord, error: BaseException) -> None:
        record.status, record.provides = "broken", {}
        text = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        record.reason = " ".join(text.split())

    def _admit(self, plugin: object, record: PluginRecord) -> None:
        """Register with pluggy, ask this plugin alone for its classes, and take them in all or not at all."""
        known = {COMMANDS, *(kind.hook for kind in KINDS.values())}
        others = list(self.manager.get_plugins())
        key = f"{record.source or record.distribution}:{record.name}"
        if self.manager.has_plugin(key):
            raise PluginError(f"{record.distribution} names two plugins {record.name!r}; rename one")
        try:
            self.manager.register(plugin, key)
            hooks = {caller.name for caller in self.manager.get_hookcallers(plugin) or []}
            for hook in sorted(hooks - known):
                raise PluginError(str(unknown_name("hook", hook, known)))
            found = {kind: self._ask(rule.hook, others) for kind, rule in KINDS.items() if rule.hook in hooks}
            for kind, classes in found.items():
                self._check(kind, classes)
            commands = self._ask(COMMANDS, others, "commands") if COMMANDS in hooks else []
            for command in commands:
                check_command(command, COMMANDS)
        except BaseException:
            if self.manager.has_plugin(key):  # some versions of pluggy keep the name of a plugin that they refuse
                self.manager.unregister(name=key)
            raise
        for kind, classes in found.items():
            record.provides[kind] = [cls.name for cls in classes]
            for cls in classes:
                self._classes[kind][cls.name] = cls
                self._owners[kind, cls.name] = record
        if commands:
            record.provides["command"] = [command.name for command in commands]
            self.commands += [(record, command) for command in commands]

    def _ask(self, hook: str, others: list[Any], what: str = "classes") -> list[Any]:
        answers = self.manager.subset_hook_caller(hook, remove_plugins=others)() or [None]  # pluggy drops None
        for answer in answers:
            if not isinstance(answer, Iterable):
                raise PluginError(f"{hook} must return an iterable of {what}, not {answer!r}")
        return [each for answer in answers for each in answer]

    def _check(self, kind: str, classes: list[type[Any]]) -> None:
        seen: set[str] = set()
        for cls in classes:
            check_class(cls, KINDS[kind].hook, kind, KINDS[kind].base)
            name = cls.name
            owner = self._owners.get((kind, name))
            if owner is not None or name in seen:
                raise PluginError(f"{kind} {name!r} is already provided by {owner or 'the same plugin'}; rename it")
            seen.add(name)

    def names(self, kind: str) -> list[str]:
        """Return the known names of a kind: one of `rnnframe.registry.kinds.KINDS`."""
        return sorted(self._classes[kind])

    def find(self, kind: str, name: str) -> type[Any]:
        """Return the class of that name; raises `UnknownNameError` with a suggestion."""
        if name not in self._classes[kind]:
            broken = [str(record) for record in self.records if record.status == "broken"]
            remark = f"; broken: {', '.join(broken)} (see `rnnframe plugins`)" if broken else ""
            raise unknown_name(kind, name, self._classes[kind], remark)
        return self._classes[kind][name]

    def owner(self, kind: str, name: str) -> PluginRecord | None:
        """Return the plugin that provides a name, None for an unknown name."""
        return self._owners.get((kind, name))

    def sources(self) -> list[str]:
        """Return the files and modules of the plugins that work and are not installed."""
        return [record.source for record in self.records if record.source and record.status == "ok"]

    def leave_out(self, kind: str, cls: type[Any], error: Exception) -> None:
        """Say on stderr, once, that a class of a plugin failed where others can go on without it."""
        if (kind, cls.name) not in self._left_out:
            self._left_out.add((kind, cls.name))
            who, kept = self.describe(kind, cls), isinstance(error, RnnframeError)
            reason = (str(error) if kept else f"{type(error).__name__}: {error}").removeprefix(who + ": ")
            print(f"rnnframe: {who} is left out: {' '.join(reason.split())}", file=sys.stderr)

    @contextmanager
    def blame(self, kind: str, cls: type[Any], **parts: type[Any]) -> Iterator[None]:
        """Name the class and its plugin in what is raised meanwhile, where that does not say whose fault it is."""
        try:
            yield
        except (UsageError, PluginError, KeyboardInterrupt, GeneratorExit):
            raise
        except ScheduleError as error:
            raise ScheduleError(f"{self.describe(kind, cls)}: {error}") from error
        except BaseException as error:  # also SystemExit, which would end the program in silence
            if is_blamed(error):
                raise
            who = self.describe(*culprit(error, kind, cls, parts))
            raise PluginError(f"{who}: {type(error).__name__}: {error}") from error

    def describe(self, kind: str, cls: type[Any]) -> str:
        """Return what to call a class when it failed: kind, name, and the plugin it is from."""
        name = getattr(cls, "name", cls.__name__)  # a twin has none
        return f"{kind} {name!r} of {self.owner(kind, name) or cls.__module__}"


def _local(name: str, place: str) -> tuple[PluginRecord, Callable[[], object]]:
    kinds = {kind.hook: kind.base for kind in KINDS.values()}
    record = PluginRecord(name=name, distribution="local", version="-", source=place)
    return record, functools.partial(local_plugins.load, place, kinds)


def _tell(trace: Callable[[str], None], outcome: "pluggy.Result[Any]", hook: str, impls: Any, _: Any) -> None:
    asked = ", ".join(impl.plugin_name for impl in impls)
    if outcome.exception is not None:
        trace(f"{hook}() of {asked} raised {type(outcome.exception).__name__}: {outcome.exception}")
        return
    for answer in outcome.get_result():
        classes = answer if isinstance(answer, list | tuple) else [answer]  # a generator is not to be used up
        trace(f"{hook}() of {asked} gave {', '.join(getattr(cls, '__name__', repr(cls)) for cls in classes)}")
