"""What commands print: aligned tables for people, JSON for programs."""

import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from itertools import zip_longest
from typing import IO, Any

import click

GAP = 2
BREAKS = re.compile(r"(?<=[,:;])|(?<=[^\d\s]) ")
"""Where a cell may go on in the next line: in a spec and between words, but not between a number and its unit."""

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
    """Print columns aligned by their widest entry; on a terminal, wide cells go on in the next line where that helps.

    Elsewhere every row is one line, for programs that read lines.
    """
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    if sys.stdout is not None and sys.stdout.isatty():
        widths = fitted(lines, widths, shutil.get_terminal_size().columns)
    for line in lines:
        wrapped = [_wrapped(text, width) for text, width in zip(line, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            cells = [text.ljust(width) for text, width in zip(parts, widths, strict=True)]
            click.echo((" " * GAP).join(cells).rstrip())


def print_remarks(remarks: Iterable[str], name: str) -> None:
    """Say on stderr what a person should know of data."""
    for remark in remarks:
        click.echo(f"rnnframe: remark: {name}: {remark}", err=True)


def fitted(lines: Sequence[Sequence[str]], widths: Sequence[int], room: int) -> list[int]:
    """Return widths for a table of `room` characters, if cells can be broken so: the widest columns shrink."""
    least = [max(len(piece) for line in lines for piece in _pieces(line[n])) for n in range(len(widths))]
    found = list(widths)
    while sum(found) + GAP * (len(found) - 1) > room:
        widest = max(range(len(found)), key=lambda n: found[n] if found[n] > least[n] else 0)
        if found[widest] <= least[widest]:
            break
        found[widest] -= 1
    return found


def _pieces(text: str) -> list[str]:
    return [piece for piece in BREAKS.split(text) if piece] or [""]


def _wrapped(text: str, width: int) -> list[str]:
    """Return a cell in lines of at most `width` characters, broken where it may be."""
    if len(text) <= width:
        return [text]
    made, start = [""], 0
    for end in [*(place.end() for place in BREAKS.finditer(text)), len(text)]:
        piece, start = text[start:end], end
        if made[-1] and len((made[-1] + piece).rstrip()) > width:
            made.append(piece)
        else:
            made[-1] += piece
    return [line.rstrip() for line in made]
