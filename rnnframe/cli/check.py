"""`rnnframe check`."""

import importlib
import os
import sys
from typing import Any

import attrs
import click

from rnnframe.cli.output import print_json
from rnnframe.errors import UsageError, unknown_name
from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import Spec, field_types

UNITS = "5"  # of a cell whose option `hidden` is not given: differences are taken along every parameter


@click.command("check", short_help="Run the conformance suite on a plugin.")
@click.argument("what", metavar="NAME|MODULE:CLASS[:OPTIONS]")
@click.option("--kind", metavar="KIND", help="kind of the plugin, if several kinds have the name")
@click.option("--data", metavar="FILE", help="small file to check a task with")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(what: str, kind: str | None, data: str | None, as_json: bool) -> int:
    """Run the conformance suite on a plugin: one line for each check, and the details of what failed.

    NAME may have options, as in lstm:hidden=3; MODULE:CLASS need not be installed, as in my_cell:MyCell:hidden=3.
    Exit code 1 means that a check failed.
    """
    from rnnframe.testing import SUITES, TaskTests, run

    if kind is not None and kind not in SUITES:
        raise unknown_name("kind", kind, SUITES)
    found, cls, spec = _find(what, kind, tuple(SUITES))
    options: dict[str, Any] = dict(spec.options)
    if found == "cell" and "hidden" in field_types(cls):
        options.setdefault("hidden", UNITS)
    subject = default_registry().build(cls, options, found, spec.name)
    body: dict[str, Any] = {found: subject}
    if data is not None:
        if found != "task":
            raise UsageError(f"--data is for tasks, and {what!r} is a {found}; leave it out")
        body["setting"] = attrs.evolve(TaskTests.setting, data=data)
    report = run(type("Checked", (SUITES[found],), body)())
    if as_json:
        print_json(attrs.asdict(report) | {"passed": report.passed})
    else:
        click.echo(str(report))
    return 0 if report.passed else 1


def _find(what: str, kind: str | None, kinds: tuple[str, ...]) -> tuple[str, type[Any], Spec]:
    """Return kind, class and options of what was asked for."""
    name, _, rest = what.partition(":")
    if rest and "=" not in rest.partition(":")[0]:
        class_name, _, options = rest.partition(":")
        cls = _import(name, class_name)
        return _kind_of(cls, what, kinds), cls, Spec.parse(f"{class_name}:{options}", "class")
    registry = default_registry()
    spec = Spec.parse(what, kind or "name")
    homes = [each for each in kinds if spec.name in registry.names(each) and kind in (None, each)]
    if not homes:
        raise unknown_name(kind or "name", spec.name, [known for each in kinds for known in registry.names(each)])
    if len(homes) > 1:
        raise UsageError(f"{spec.name!r} is the name of {' and of '.join(homes)}; add --kind {homes[0]}")
    return homes[0], registry.find(homes[0], spec.name), spec


def _import(module: str, name: str) -> type[Any]:
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise UsageError(f"module {module!r} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(os.getcwd())
    cls = getattr(found, name, None)
    if not isinstance(cls, type):
        classes = [key for key, value in vars(found).items() if isinstance(value, type)]
        raise unknown_name(f"class of module {module!r}:", name, classes)
    return cls


def _kind_of(cls: type[Any], what: str, kinds: tuple[str, ...]) -> str:
    from rnnframe.testing import BASES

    for kind in kinds:
        if issubclass(cls, BASES[kind]):
            return kind
    bases = ", ".join(f"rnnframe.plugin.{BASES[kind].__name__}" for kind in kinds)
    raise UsageError(f"{what!r} is no subclass of any of {bases}")
