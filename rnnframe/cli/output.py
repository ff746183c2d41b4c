"""What commands print: aligned tables for people, JSON for programs."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click


def print_json(value: Any) -> None:
    """Print one JSON object on one line."""
    click.echo(json.dumps(value))


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns aligned by their widest entry; the last column runs free."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    for line in lines:
        cells = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def print_remarks(remarks: Iterable[str], name: str) -> None:
    """Say on stderr what a person should know of data."""
    for remark in remarks:
        click.echo(f"rnnframe: remark: {name}: {remark}", err=True)
