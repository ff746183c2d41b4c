"""Command-line options made from the fields of an attrs class, so that help, files and checks have one source."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args, get_origin

import attrs
import click

from rnnframe.registry.specs import describe_type, field_types

F = TypeVar("F", bound=Callable[..., Any])


def options_of(cls: type[Any]) -> Callable[[F], F]:
    """Return a decorator that adds one option a field with a help text; those not given arrive as None (or empty)."""

    def decorate(function: F) -> F:
        types = field_types(cls)
        for field in reversed([field for field in attrs.fields(cls) if "help" in field.metadata]):
            if types[field.name] is bool:
                flag = "--" + field.name.replace("_", "-")
                function = click.option(flag, field.name, is_flag=True, default=None, help=field.metadata["help"])(
                    function
                )
                continue
            multiple = get_origin(types[field.name]) is tuple
            choices = f" ({describe_type(types[field.name])})" if _is_choice(types[field.name]) else ""
            default = " ".join(field.default) if multiple else field.default
            shown = f"  [default: {default}]" if field.default not in (None, ()) else ""
            function = click.option(
                "--" + field.name.replace("_", "-"),
                field.name,
                multiple=multiple,
                metavar=field.metadata.get("metavar") or _metavar(field.name, types[field.name]),
                help=field.metadata["help"] + choices + shown,
            )(function)
        return function

    return decorate


def _is_choice(kind: Any) -> bool:
    return describe_type(kind).startswith("one of")


def _metavar(name: str, kind: Any) -> str:
    if name in ("data", "out"):
        return {"data": "FILE", "out": "RUN"}[name]
    parts = set(get_args(kind)) or {kind}
    if float in parts:
        return "NUMBER"
    if int in parts:
        return "N"
    return "NAME" if _is_choice(kind) else "SPEC"


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were really given."""
    return {name: value for name, value in values.items() if value is not None and value != ()}
