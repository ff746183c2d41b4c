"""What a constant means: the string that follows its assignment, in the module that it was first written in."""

import ast
import importlib
import inspect
import itertools
from types import ModuleType


def explanation(module: ModuleType, name: str) -> str | None:
    """Return the string after the assignment to `name`, here or in the module that it is imported from."""
    body = ast.parse(inspect.getsource(module)).body
    for statement, after in itertools.pairwise(body):
        if name in _assigned(statement):
            is_string = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            return inspect.cleandoc(str(after.value.value)) if is_string else None
        if isinstance(statement, ast.ImportFrom) and name in [alias.name for alias in statement.names]:
            return explanation(importlib.import_module(statement.module or ""), name)
    return None


def _assigned(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return [name]
        case _:
            return []
