"""Options in TOML files: flat, with the names of the command line."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rnnframe.errors import RunError


def read_toml(path: Path) -> dict[str, Any]:
    """Return the contents of a TOML file; raises `RunError`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, an integer of too many digits, too deep
        raise RunError(f"{str(path)!r} is no TOML: {error}") from None


def to_toml(values: Mapping[str, Any]) -> str:
    """Write flat options (texts, numbers, booleans and lists of texts) as TOML; None becomes "none"."""
    lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def to_comments(remarks: Iterable[str]) -> str:
    """Write remarks as comments, each on a line of its own."""
    return "".join(f"# {''.join(c if c.isprintable() else ' ' for c in remark)}\n" for remark in remarks)


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if value is None:
        return '"none"'  # TOML has no None; without the key, the default would be used
    if isinstance(value, float):
        return repr(value)  # JSON cannot express infinity; TOML writes it as Python does
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
