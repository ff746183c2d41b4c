"""What a class or a command must be like for a registry to take it: told in the words of the one who wrote it."""

import re
from typing import Any

import attrs

from rnnframe.contracts.loss import Loss
from rnnframe.errors import PluginError
from rnnframe.registry.specs import field_types


def check_class(cls: Any, hook: str, kind: str, base: type[Any]) -> None:
    """Raise `PluginError` unless `cls` is an attrs class of `base` whose name and options can be written in a spec."""
    if not (isinstance(cls, type) and issubclass(cls, base)):  # what a hook returned may be anything
        raise PluginError(f"{hook} returned {cls!r}, which is no subclass of rnnframe.plugin.{base.__name__}")
    fields = attrs.fields_dict(cls) if "__attrs_attrs__" in vars(cls) else {}
    if "name" in fields:
        raise PluginError(f"the name of {cls.__name__} is a field; write name: ClassVar[str] = ...")
    name: Any = getattr(cls, "name", None)
    if "__attrs_attrs__" not in vars(cls) or not isinstance(name, str):
        raise PluginError(f"{cls.__name__} must be a frozen attrs class with a class variable `name`")
    if not re.fullmatch(r"[^\s:,=]+", name):
        raise PluginError(
            f"{kind} {name!r} cannot be written as name:key=value; use no space, colon, comma or equals sign"
        )
    for option in fields.values():
        if option.init:
            _check_option(cls, option, base)
    try:
        field_types(cls)
    except Exception as error:
        raise PluginError(f"the types of {cls.__name__}'s options cannot be read: {error}") from error


def check_command(command: Any, hook: str) -> None:
    """Raise `PluginError` unless `command` is a click command that can be typed."""
    import click  # only where a plugin has commands: it is a slow import

    if not isinstance(command, click.Command):  # what a hook returned may be anything
        raise PluginError(f"{hook} returned {command!r}, which is no click command")
    if command.name is None or not re.fullmatch(r"[^\s-]\S*", command.name):
        raise PluginError(f"the name of command {command.name!r} must be a word such as 'serve'")


def _check_option(cls: type[Any], option: "attrs.Attribute[Any]", base: type[Any]) -> None:
    where = f"option {option.name!r} of {cls.__name__}"
    if option.type is None:
        raise PluginError(f"{where} has no type; write {option.name}: float = attrs.field(...)")
    if option.alias != option.name:
        raise PluginError(f"{where} is known to attrs as {option.alias!r}; call it {option.alias!r}")
    if option.name == "readout" and issubclass(base, Loss):
        raise PluginError(f"{where} is taken: it names the readout of a head; rename it")
    for parent in cls.__mro__[1:]:
        taken = option.name in vars(parent) and option.name not in _field_names(parent)
        if taken and issubclass(parent, base) and not isinstance(vars(parent)[option.name], property):
            raise PluginError(f"{where} hides what {parent.__name__} defines under that name; rename it")


def _field_names(cls: type[Any]) -> set[str]:
    return set(attrs.fields_dict(cls)) if attrs.has(cls) else set()
