"""The docstrings are plain text with `code` in backticks; this turns them into reStructuredText for autodoc.

Sections in numpydoc style (Parameters, Returns, Raises) become lists, made by napoleon, which comes with Sphinx.
"""

import importlib
import re
from typing import Any

from constants import explanation
from docutils import nodes
from sphinx.ext.napoleon import Config, NumpyDocstring

CODE = re.compile(r"(`+)(.+?)\1")
SPECIAL = re.compile(r"[\\*|]|_(?=\W|$)")  # what reStructuredText would read as emphasis, substitution or target
NAME = re.compile(r"[A-Za-z_][\w.]*\Z")
HEADING = re.compile(r"[A-Z][a-z]+\Z")
RULE = re.compile(r"-{3,}\Z")
INDENT = 4
SECTIONS = Config(napoleon_use_rtype=False)  # the type stands beside its description
# What type checkers see under a short name and autodoc under the whole one.
ALIASES = {
    "ndarray[Any, dtype[Any]]": "Array",
    "ndarray[tuple[Any, ...], dtype[Any]]": "Array",
    "Mapping[str, Array]": "Arrays",
    "Mapping[str, tuple[int, ...]]": "Shapes",
    "Mapping[str, int | tuple[int, ...]]": "Sizes",
    "Mapping[str, int]": "Widths",
    "Literal['whole', 'lean', 'states']": "Tapes",
    "Literal['whole', 'lean', 'states', 'bfloat16']": "StoredTapes",
    "Generator[Forward | Reverse | Forget | Save | Load | Drop | Update, int | None, None]": "Schedule",
}
QUALIFIED = re.compile(r"~?\b(?:[a-z_]+\.)+(?=[A-Za-z])|~(?=[A-Za-z])")


def setup(app: Any) -> dict[str, Any]:
    """Connect to autodoc."""
    app.connect("autodoc-process-docstring", _convert)
    app.connect("doctree-read", _write_dashes)
    app.connect("autodoc-process-signature", _shorten)
    return {"parallel_read_safe": True}


def _convert(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    if what == "data":  # autodoc shows the text of the class of a constant that was imported
        module, _, short = name.rpartition(".")
        lines[:] = (explanation(importlib.import_module(module), short) or "").splitlines()
    made: list[str] = []
    margin = 0  # of the text; in a section that of the items' descriptions
    in_block = False
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if RULE.match(after) and HEADING.match(line):
            margin = INDENT
        indent = len(line) - len(line.lstrip())
        if indent > margin and not in_block and (not made or not made[-1]):
            made += [" " * margin + ".. code-block:: text", ""]
            in_block = True
        elif line and indent <= margin:
            in_block = False
        is_item = margin and not indent  # a heading, its rule, or the name of a parameter
        made.append(line if in_block or is_item or line.startswith(">>>") else _inline(line))
    # Napoleon takes what stands before a colon for a type where it is the text of an attribute.
    has_sections = margin and what not in ("attribute", "data", "property")
    lines[:] = NumpyDocstring(made, SECTIONS, app, what, name, obj, options).lines() if has_sections else made


def _write_dashes(app: Any, tree: nodes.document) -> None:
    """Put a dash between a parameter and its description, where Sphinx leaves two hyphens for its smart quotes."""
    for text in list(tree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" – "))


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
