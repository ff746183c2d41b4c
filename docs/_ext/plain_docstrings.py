"""The docstrings are plain text with `code` in backticks; this hands them to autodoc as reStructuredText."""

import importlib
import re
from typing import Any

from constants import explanation

CODE = re.compile(r"(`+)(.+?)\1")
SPECIAL = re.compile(r"[\\*|]|_(?=\W|$)")  # what reStructuredText would read as emphasis, substitution or target
NAME = re.compile(r"[A-Za-z_][\w.]*\Z")
# What type checkers see under a short name and autodoc under the whole one.
ALIASES = {
    "ndarray[Any, dtype[Any]]": "Array",
    "ndarray[tuple[Any, ...], dtype[Any]]": "Array",
    "Mapping[str, Array]": "Arrays",
    "Mapping[str, tuple[int, ...]]": "Shapes",
    "Mapping[str, int | tuple[int, ...]]": "Sizes",
    "Mapping[str, int]": "Widths",
    "Literal['whole', 'lean', 'states']": "Tapes",
    "Generator[Forward | Reverse | Forget | Save | Load | Drop | Update, int | None, None]": "Schedule",
}
QUALIFIED = re.compile(r"~?\b(?:[a-z_]+\.)+(?=[A-Za-z])|~(?=[A-Za-z])")


def setup(app: Any) -> dict[str, Any]:
    """Connect to autodoc."""
    app.connect("autodoc-process-docstring", _convert)
    app.connect("autodoc-process-signature", _shorten)
    return {"parallel_read_safe": True}


def _convert(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if what == "data":  # autodoc shows the text of the class of a constant that was imported
        module, _, short = name.rpartition(".")
        lines[:] = (explanation(importlib.import_module(module), short) or "").splitlines()
    made: list[str] = []
    in_block = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not in_block and (not made or not made[-1]):
            made += [".. code-block:: text", ""]
            in_block = True
        elif line and not indented:
            in_block = False
        made.append(line if in_block or line.startswith(">>>") else _inline(line))
    lines[:] = made


def _inline(line: str) -> str:
    parts, end = [], 0
    for match in CODE.finditer(line):
        parts.append(SPECIAL.sub(r"\\\g<0>", line[end : match.start()]))
        # A name becomes a link where it is documented.
        parts.append(f"`{match[2]}`" if NAME.match(match[2]) else f"``{match[2]}``")
        end = match.end()
    return "".join([*parts, SPECIAL.sub(r"\\\g<0>", line[end:])])


def _shorten(app: Any, what: str, name: str, obj: Any, options: Any, signature: Any, returns: Any) -> Any:
    return _short(signature), _short(returns)


def _short(text: str | None) -> str | None:
    if text is None:
        return None
    text = QUALIFIED.sub("", text)
    for long, alias in ALIASES.items():
        text = text.replace(long, alias)
    return text
