"""A stack of layers on one line: specs with spaces between them, the lowest first.

    dropout:rate=0.2 2*lstm:hidden=300,weight_drop=0.5 dropout:rate=0.5,variational=yes
    embedding:size=64 3*residual(layer-norm gru:hidden=64)

    2*(lstm:hidden=320 dropout:rate=0.3)

`N*` repeats a layer, or the layers in the brackets behind it. Layers that are made of others have these in brackets
behind their name.
"""

import re
from collections.abc import Sequence

from rnnframe.errors import OptionError
from rnnframe.registry.spec_text import DEEPEST, split_brackets

USUAL = ("lstm:hidden=256",)
"""The cells of a network where none are named."""
MOST = 1000
"""Layers of a network."""


def split_stack(text: str) -> tuple[str, ...]:
    """Return the spec of each layer of a stack; raises `OptionError` where the text is none."""
    specs = _layers(text, f"layers {text!r}", 0)
    if not specs:
        raise _number_of_layers(f"layers {text!r}", 0)
    return tuple(specs)


def _number_of_layers(where: str, count: int | str) -> OptionError:
    return OptionError(f"{where}: these are {count} layers; write 1 to {MOST} specs such as 'gru:hidden=64'")


def _layers(text: str, where: str, depth: int) -> list[str]:
    """Return the specs of a stack, or of a group of layers so deep in it; none if the text is empty."""
    if depth > DEEPEST:
        raise OptionError(f"{where}: brackets stand more than {DEEPEST} deep; write fewer")
    specs: list[str] = []
    for part in _parts(text, where):
        specs += _repeated(part, where, depth)
        if len(specs) > MOST:
            raise _number_of_layers(where, f"more than {MOST}")
    return specs


def _parts(text: str, where: str) -> list[str]:
    """Return the parts of a text between spaces outside of brackets."""
    depth, parts = 0, [""]
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            break
        if sign.isspace() and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    if depth:
        raise OptionError(f"{where}: the brackets do not match; write name(layer layer)")
    return [part for part in parts if part]


def _repeated(part: str, where: str, depth: int) -> list[str]:
    found = re.fullmatch(r"([0-9]+)\*(.*)", part, re.DOTALL)
    number, what = (found[1].lstrip("0"), found[2]) if found else ("1", part)
    if not number or len(number) > len(str(MOST)):
        raise OptionError(f"{where}: {part!r} repeats so often; write a number from 1 to {MOST} before *")
    if re.match(r"[0-9]+\*", what):
        raise OptionError(f"{where}: {part!r} has two numbers; write their product, or 2*(3*gru dropout)")
    specs = _group(part, what, where, depth) if what.startswith("(") else [what]
    if not specs or not what:
        raise OptionError(f"{where}: {part!r} repeats nothing; write what, as in 2*gru or 2*(gru dropout)")
    if len(specs) * int(number) > MOST:
        raise _number_of_layers(where, len(specs) * int(number))
    return specs * int(number)


def _group(part: str, what: str, where: str, depth: int) -> list[str]:
    """Return the specs in the brackets of `N*(layer layer)`."""
    _, inside, behind = split_brackets(what, "layers")
    if inside is None or behind:
        raise OptionError(f"{where}: {behind!r} stands behind a group; write the options of a layer behind its name")
    if part == what:
        raise OptionError(
            f"{where}: {part!r} has no name and no number; write 2*(layer layer), or leave the brackets out"
        )
    return _layers(inside, where, depth + 1)


def stacked(cells: Sequence[str], layers: int | str, usual: Sequence[str] = USUAL) -> tuple[str, ...]:
    """Return the specs of all layers: the cells as often as `layers` says, or those that it names.

    `usual` are the cells where none are named, which give way to layers that are.
    """
    if isinstance(layers, int):
        return tuple(cells) * layers
    if tuple(cells) != tuple(usual):
        raise OptionError(f"layers={layers!r} names every layer; leave out cell={' '.join(cells)!r}")
    return split_stack(layers)


def check_layers(_: object, __: object, layers: int | str) -> None:
    """Raise `ValueError` or `OptionError` for what is neither a number of layers nor a stack of them."""
    if isinstance(layers, str):
        split_stack(layers)
    elif not 1 <= layers <= MOST:
        raise ValueError(f"'layers' must be from 1 to {MOST}: {layers}")
