"""Saying whose fault it is: a note on whatever is raised inside the code of a plugin."""

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

Describe: TypeAlias = Callable[[str, type[Any]], str]
"""Kind and class -> what to call it, with the plugin that it is from: `Registry.describe`."""


@attrs.frozen
class BlameNote:
    """Adds to what is raised within which class it was, and whose: layers and media are other people's code.

    `describe` is asked only then; it is that of the registry which made the thing.
    """

    place: str
    kind: str
    cls: type[Any]
    describe: Describe = attrs.field(eq=False, repr=False)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if error is not None and not isinstance(error, KeyboardInterrupt | GeneratorExit):
            error.add_note(f"{self.place}, {self.describe(self.kind, self.cls)}")
