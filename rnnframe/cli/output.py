"""What commands print: aligned tables for people, JSON for programs."""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from itertools import zip_longest
from typing import IO, Any

import click

from rnnframe.errors import on_one_line

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
    """Print columns aligned by their widest entry; a terminal gets a table as narrow as it is.

    There, wide cells go on in the next line. Columns that still do not fit are printed below, after the first column
    once more. Elsewhere every row is one line, for programs that read lines. Control characters, as a name in a file of
    others may hold them, are printed as escapes.
    """
    lines = [list(map(on_one_line, row)) for row in (head, *rows)]
    if sys.stdout is None or not sys.stdout.isatty():
        _print_block(lines, _widest(lines))
        return
    room = shutil.get_terminal_size().columns
    for n, columns in enumerate(blocks(lines, room)):
        block = [[line[column] for column in columns] for line in lines]
        if n:
            click.echo()
        _print_block(block, fitted(block, _widest(block), room))


def print_text(text: str) -> None:
    """Print paragraphs: on a terminal broken between words at its width, elsewhere as they are.

    An item that begins with "- " is a paragraph of its own; indented lines, such as formulas, stay as they are.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        text = "\n\n".join(_filled(paragraph, columns) for paragraph in text.split("\n\n"))
    click.echo(text)


def _filled(paragraph: str, columns: int) -> str:
    if paragraph.startswith("- "):
        return "\n".join(_broken(item, columns, "  ") for item in re.split(r"\n(?=- )", paragraph))
    if any(line.startswith(" ") for line in paragraph.splitlines()):
        return paragraph
    return _broken(paragraph, columns)


def _broken(text: str, columns: int, indent: str = "") -> str:
    return textwrap.fill(text, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def human_seconds(seconds: float) -> str:
    """Return a time of three digits in the unit that suits it: 4.27 ms, 0.52 s, 1,250 s."""
    if seconds >= 1000:
        return f"{seconds:,.0f} s"
    if seconds >= 0.1 or seconds == 0:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-4 else f"{seconds * 1e6:.3g} µs"


def blocks(lines: Sequence[Sequence[str]], room: int) -> list[list[int]]:
    """Return the columns of each part of a table, each `room` characters wide at most; the first is in every part."""
    least = _least(lines)
    made = [[0]]
    for column in range(1, len(least)):
        if len(made[-1]) > 1 and sum(least[n] + GAP for n in (*made[-1], column)) - GAP > room:
            made.append([0])
        made[-1].append(column)
    return made


def _print_block(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> None:
    for line in lines:
        wrapped = [_wrapped(text, width) for text, width in zip(line, widths, strict=True)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            cells = [text.ljust(width) for text, width in zip(parts, widths, strict=True)]
            click.echo((" " * GAP).join(cells).rstrip())


def _widest(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _least(lines: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(piece) for text in column for piece in _pieces(text)) for column in zip(*lines, strict=True)]


def print_remarks(remarks: Iterable[str], name: str) -> None:
    """Say on stderr what a person should know of data."""
    for remark in remarks:
        click.echo(on_one_line(f"rnnframe: remark: {name}: {remark}"), err=True)


def fitted(lines: Sequence[Sequence[str]], widths: Sequence[int], room: int) -> list[int]:
    """Return widths for a table of `room` characters, if cells can be broken so: the widest columns shrink."""
    least, found = _least(lines), list(widths)
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
