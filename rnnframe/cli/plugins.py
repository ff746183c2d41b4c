"""`rnnframe plugins`."""

import attrs
import click

from rnnframe.cli.output import print_json, print_table
from rnnframe.registry.kinds import KINDS
from rnnframe.registry.registry import default_registry

PLURALS = {kind: rule.plural for kind, rule in KINDS.items()} | {"command": "commands"}


@click.command("plugins", short_help="List the plugins and what they provide.")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def command(as_json: bool) -> None:
    """List every plugin found: name, status, distribution and version, and what it provides."""
    records = default_registry().records
    if as_json:
        print_json({"plugins": [attrs.asdict(record) for record in records]})
        return
    rows = [
        [
            record.name,
            record.status,
            record.provider,
            record.reason
            or "; ".join(f"{PLURALS[kind]}: {', '.join(names)}" for kind, names in record.provides.items()),
        ]
        for record in records
    ]
    print_table(["plugin", "status", "from", "provides"], rows)
