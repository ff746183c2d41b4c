"""The text of a spec taken apart: at marks outside of double quotes, and at brackets."""

from rnnframe.errors import OptionError

DEEPEST = 20
"""Layers inside layers; what reads them calls itself for each."""


def split(text: str, mark: str, where: str = "") -> list[str]:
    """Return the parts of a text between marks outside of double quotes; raises `OptionError` for an open quote."""
    pieces = text.split('"')  # every second one is in quotes
    if where and len(pieces) % 2 == 0:
        raise OptionError(f"{where}: a double quote is not closed")
    parts = [""]
    for number, piece in enumerate(pieces):
        quote = '"' if number else ""
        first, *others = [piece] if number % 2 else piece.split(mark)
        parts[-1] += quote + first
        parts += others
    return parts


def unquoted(text: str) -> str:
    """Return a text without the double quotes around it; two in a row stand for one inside."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"')
    return text


def split_brackets(text: str, kind: str) -> tuple[str, str | None, str]:
    """Return what stands before, in and behind the brackets of `name(layer layer):key=value`; None without brackets."""
    start = text.find("(")
    if start < 0 or ":" in text[:start]:
        return text, None, ""
    depth = 0
    for end, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth > DEEPEST:
            raise OptionError(f"{kind} {text[:40]!r}...: brackets stand more than {DEEPEST} deep; write fewer")
        if sign == ")" and not depth:
            return text[:start], text[start + 1 : end], text[end + 1 :]
    raise OptionError(f"{kind} {text!r}: a bracket is not closed; write name(layer layer):key=value")
