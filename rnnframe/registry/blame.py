"""Saying whose fault it is: a note on whatever is raised inside the code of a plugin."""

from collections.abc import Callable, Mapping
from traceback import walk_tb
from typing import Any, TypeAlias

import attrs

PLACE = "in "
"""How a note begins that says who was at work."""

Describe: TypeAlias = Callable[[str, type[Any]], str]
"""Kind and class -> what to call it, with the plugin that it is from: `Registry.describe`."""


def is_blamed(error: BaseException) -> bool:
    """Whether a note says already whose fault it is."""
    return any(note.startswith(PLACE) for note in getattr(error, "__notes__", ()))


def culprit(error: BaseException, kind: str, cls: type[Any], parts: Mapping[str, type[Any]]) -> tuple[str, type[Any]]:
    """Return kind and class of the last of some parts, by kind, whose method was called; of the whole without one."""
    for frame, _ in reversed(list(walk_tb(error.__traceback__)) if parts else []):
        own = frame.f_locals.get("self")
        found = next((each for each, base in parts.items() if isinstance(own, base)), None)
        if found is not None:
            return found, type(own)
    return kind, cls


@attrs.frozen
class BlameNote:
    """Adds to what is raised within which class it was, and whose: layers and media are other people's code.

    `describe` is asked only then; it is that of the registry which made the thing. `parts` are things that it is made
    of, with their kinds: one that was at work is named in its stead.
    """

    place: str
    kind: str
    cls: type[Any]
    describe: Describe = attrs.field(eq=False, repr=False)
    parts: tuple[tuple[str, Any], ...] = attrs.field(default=(), eq=False, repr=False)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if error is not None and not isinstance(error, KeyboardInterrupt | GeneratorExit):
            error.add_note(f"{PLACE}{self.place}, {self.describe(*self._at_work(error))}")

    def _at_work(self, error: BaseException) -> tuple[str, type[Any]]:
        """Return kind and class of the part whose method was the last to be called, else those of the whole."""
        called = [frame.f_locals.get("self") for frame, _ in walk_tb(error.__traceback__)] if self.parts else []
        found = (each for own in reversed(called) for each in self.parts if each[1] is own)
        kind, part = next(found, ("", None))
        return (self.kind, self.cls) if part is None else (kind, type(part))
