"""The house: small modules, short functions, classes with one job; no room reads what is a layer's own business."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import rnnframe

CORE = Path(rnnframe.__file__).parent
FILES = sorted(CORE.rglob("*.py"))
LINES, BODY, METHODS = 250, 50, 15


def named(path: Path) -> str:
    return str(path.relative_to(CORE))


def nodes(kind: type) -> Iterator[tuple[Path, ast.AST]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kind):
                yield path, node


def test_no_module_of_the_core_is_long() -> None:
    sizes = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: size for name, size in sizes.items() if size > LINES} == {}


def test_no_function_of_the_core_is_long() -> None:
    """Its docstring is not counted: that is a list of parameters where a function has many."""
    long = {}
    for path, node in nodes(ast.FunctionDef):
        first = node.body[0]
        explained = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) else 0
        lines = node.end_lineno - node.lineno + 1 - explained
        if lines > BODY:
            long[f"{named(path)}:{node.name}"] = lines
    assert long == {}


def test_no_class_of_the_core_has_many_public_methods() -> None:
    large = {}
    for path, node in nodes(ast.ClassDef):
        methods = [each for each in node.body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
        called = [each for each in methods if "property" not in map(ast.unparse, each.decorator_list)]
        if len(called) > METHODS:
            large[f"{named(path)}:{node.name}"] = len(called)
    assert large == {}


def test_no_room_knows_a_layers_arrays_by_name() -> None:
    """Which array is the output, and how wide it is, a layer says itself: no `["h"]`, no `.hidden` outside of cells."""
    found = [
        f"{named(path)}:{number}"
        for path in FILES
        if path.parent.name in ("data", "engine", "inspection", "network", "runs", "training")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"""\[["']h["']\]|\.hidden\b""", line.partition("#")[0])
    ]
    assert found == []
