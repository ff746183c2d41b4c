"""What commands print: aligned tables for people, JSON for programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import IO, Any

import click

_for_json: ContextVar[IO[str] | None] = ContextVar("_for_json", default=None)


@contextmanager
def json_alone() -> Iterator[None]:
    """Leave stdout to `print_json`: what anyone else prints meanwhile, such as a plugin, goes to stderr."""
    token = _for_json.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _for_json.reset(token)


def print_json(value: Any) -> None:
    """Print one JSON object on one line."""
    click.echo(json.dumps(value), file=_for_json.get())


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
