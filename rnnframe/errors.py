"""The project's exceptions: each message is one line that names the wrong value, what was expected and the way out."""

import difflib
from collections.abc import Iterable


def on_one_line(text: str) -> str:
    """Return a text as a terminal can print it on one line: breaks become spaces, other control characters escapes."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in " ".join(text.split()))


class RnnframeError(Exception):
    """Work that failed. The message is one line, whatever it quotes; the command line exits with `exit_code`."""

    exit_code = 1

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(on_one_line(each) if isinstance(each, str) else each for each in arguments))


class UsageError(RnnframeError, ValueError):
    """A value that the caller can mend: a name, an option, an array, a file."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A cell, store, optimizer, head, rate or option of that name does not exist."""


class OptionError(UsageError):
    """An option is misspelt, missing, unreadable or out of range."""


class DataError(UsageError):
    """Inputs or targets that the network cannot take."""


class BusyError(UsageError):
    """An object that works for one call at a time was called again before that call had ended."""


class ScheduleError(RnnframeError):
    """A store's schedule breaks the rules of the action vocabulary."""


class PluginError(RnnframeError):
    """A plugin cannot be loaded, two plugins provide one name, or one does not keep what it promises."""


class NonFiniteError(RnnframeError):
    """A loss or a gradient became NaN or infinite; no update was made from it."""


class GroupError(RnnframeError):
    """The ranks of a group cannot go on together: one has ended, does not answer, or has other data or parameters."""


class RunError(RnnframeError):
    """A run folder cannot be written, read or continued."""


def unknown_name(kind: str, name: str, known: Iterable[str], remark: str = "") -> UnknownNameError:
    """Return the error for an unknown name: it suggests the nearest known one and lists them all."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.6)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    listing = ", ".join(choices) or "none"
    return UnknownNameError(f"unknown {kind} {name!r}{guess} (known: {listing}){remark}")
