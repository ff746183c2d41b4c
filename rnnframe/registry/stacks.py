"""A stack of layers on one line: specs with spaces between them, the lowest first.

    dropout:rate=0.2 2*lstm:hidden=300,weight_drop=0.5 dropout:rate=0.5,variational=yes
    embedding:size=64 3*residual(layer-norm gru:hidden=64)

`N*` repeats a layer. Layers that are made of others have these in brackets.
"""

import re
from collections.abc import Sequence

from rnnframe.errors import OptionError

USUAL = ("lstm:hidden=256",)
"""The cells of a network where none are named."""
MOST = 1000
"""Layers of a network."""


def split_stack(text: str) -> tuple[str, ...]:
    """Return the spec of each layer of a stack; raises `OptionError` where brackets do not match or there is none."""
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
        raise OptionError(f"layers {text!r}: the brackets do not match; write name(layer layer)")
    specs = [spec for part in filter(None, parts) for spec in _repeated(part)]
    if not 0 < len(specs) <= MOST:
        raise OptionError(
            f"layers {text!r}: these are {len(specs)} layers; write 1 to {MOST} specs such as 'gru:hidden=64'"
        )
    return tuple(specs)


def _repeated(part: str) -> list[str]:
    found = re.fullmatch(r"(\d{1,4})\*(.+)", part, re.DOTALL)
    return [found[2]] * int(found[1]) if found else [part]


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
