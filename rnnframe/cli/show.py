"""`rnnframe show`."""

import inspect
import re
from typing import Any

import attrs
import click

from rnnframe.cli.output import print_json, print_table, print_text
from rnnframe.contracts.cell import Cell
from rnnframe.contracts.medium import Medium
from rnnframe.contracts.store import StateStore
from rnnframe.errors import unknown_name
from rnnframe.registry.kinds import KINDS
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.registry.specs import build, describe_type, field_types, required_options


@click.command("show", short_help="List all tasks, cells, stores, ..., or explain one and its options.")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(name: str | None, as_json: bool) -> None:
    """Explain NAME (a task, cell, store, optimizer, medium, loss, ...) and list its options.

    Without a NAME everything is listed by kind; `rnnframe show stores` lists one kind.
    """
    registry = default_registry()
    kinds = _kinds(name)
    if kinds:
        _list(registry, kinds, as_json=as_json)
        return
    assert name is not None
    found = [_describe(registry, kind, name) for kind in KINDS if name in registry.names(kind)]
    if not found:
        raise unknown_name("name", name, _known(registry))
    if as_json:
        print_json({"found": found})
        return
    for thing in found:
        print_text(f"{thing['name']}: {thing['kind']} of {thing['provider']}\n\n{thing['about']}")
        click.echo()
        for fact, text in thing["facts"].items():
            print_text(f"{fact}: {text}")
        if thing["facts"]:
            click.echo()
        rows = [[o["name"], o["type"], o["default"], o["help"]] for o in thing["options"]]
        if rows:
            print_table(["option", "type", "default", "meaning"], rows)
        else:
            click.echo("It has no options.")


def _kinds(name: str | None) -> list[str]:
    """Return the kinds to list: all where nothing is named; none for the name of a single thing."""
    if name is None:
        return [*KINDS]
    word = name.replace("-", " ").lower()
    return [kind for kind, rule in KINDS.items() if word in (kind, rule.plural)]


def _known(registry: Registry) -> list[str]:
    names = [known for kind in KINDS for known in registry.names(kind)]
    return [*names, *(rule.plural.replace(" ", "-") for rule in KINDS.values())]


def _list(registry: Registry, kinds: list[str], *, as_json: bool) -> None:
    """Print each name with the first sentence of what it says of itself."""
    listed = {kind: {name: _gist(registry.find(kind, name)) for name in registry.names(kind)} for kind in kinds}
    if as_json:
        print_json({"kinds": {KINDS[kind].plural: names for kind, names in listed.items()}})
        return
    formatter = click.HelpFormatter()
    longest = max((len(name) for names in listed.values() for name in names), default=0)
    for kind, names in listed.items():
        with formatter.section(KINDS[kind].plural):
            formatter.write_dl([(name.ljust(longest), gist) for name, gist in names.items()])
    click.echo(formatter.getvalue() + "\n`rnnframe show NAME` explains one and lists its options.")


def _gist(cls: type[Any]) -> str:
    """Return the first sentence of what a class says of itself, on one line."""
    paragraph = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=[.;])\s", paragraph, maxsplit=1)[0].rstrip(".;:")


def _describe(registry: Registry, kind: str, name: str) -> dict[str, Any]:
    cls, owner = registry.find(kind, name), registry.owner(kind, name)
    types = field_types(cls)
    options = [
        {
            "name": field.name,
            "type": describe_type(types[field.name]),
            "default": "required" if field.default is attrs.NOTHING else _word(field.default),
            "help": field.metadata.get("help", ""),
        }
        for field in attrs.fields(cls)
        if field.init
    ]
    return {
        "name": name,
        "kind": kind,
        "provider": str(owner) if owner else "the core",
        "about": inspect.getdoc(cls) or "",
        "facts": _facts(cls),
        "options": options,
    }


def _word(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _facts(cls: type[Any]) -> dict[str, str]:
    """Return what a cell leaves behind, per step and sample, and whether a store or a medium is exact."""
    if issubclass(cls, StateStore):
        return {
            "gradient": "exact" if cls.exact else "truncated to a window",
            "sources of unknown length": _unknown_length(cls),
        }
    if issubclass(cls, Medium):
        return {"snapshots": "exact" if cls.exact else "not exact"}
    if issubclass(cls, Cell) and not required_options(cls):
        cell = build(cls, {}, "cell", cls.name)
        state, tape = (
            ", ".join(f"{name} {width}" for name, width in widths.items()) for widths in (cell.state(1), cell.tape(1))
        )
        return {f"state (with hidden={cell.hidden})": state, "tape, per step and sample": tape}
    return {}


def _unknown_length(cls: type[StateStore]) -> str:
    """Say what a class makes of `unknown_length`: a constant, the default, or a property that asks its options."""
    value: object = cls.unknown_length
    if value is True:
        return "yes"
    return "no" if value is StateStore.unknown_length else "it depends on the options"
