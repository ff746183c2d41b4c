"""The option `--plot FILE` and its like: what is wrong with the file or the installation is said at the beginning."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import click

from rnnframe.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

ENDINGS = (".png", ".svg")


def plot_option(what: str, flag: str = "--plot") -> Callable[[F], F]:
    """Return a decorator that adds the option `--plot`, or another; `what` says what the picture shows."""
    return click.option(flag, callback=_picture, metavar="FILE", help=f"draw {what}, as .png or .svg")


def _picture(context: click.Context, option: click.Parameter, value: str | None) -> Path | None:
    """Return the path; raises `UsageError` for one that cannot be written and where matplotlib is missing."""
    if value is None:
        return None
    path, flag = Path(value), option.opts[0]
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{flag} {value!r} is not a picture; give a file that ends in {' or '.join(ENDINGS)}")
    if path.is_dir():
        raise UsageError(f"{flag} {value!r} is a folder; give a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"{flag} {value!r}: there is no folder {str(path.parent)!r}; make it first")
    if find_spec("matplotlib") is None:
        raise UsageError(f'{flag} draws with matplotlib, which is not installed; run: pip install "rnnframe[plot]"')
    return path
