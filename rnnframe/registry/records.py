"""What is known of a plugin: who distributes it, and whether it works."""

from typing import Literal

import attrs


@attrs.define(kw_only=True)
class PluginRecord:
    """A plugin as found: who distributes it, whether it works, what it provides or why it does not.

    `source` is the file or module of one that is not installed but was named by the user.
    """

    name: str
    distribution: str
    version: str
    status: Literal["ok", "broken", "disabled"] = "ok"
    reason: str = ""
    provides: dict[str, list[str]] = attrs.field(factory=dict)
    source: str = ""

    @property
    def provider(self) -> str:
        """The distribution with its version, or the source."""
        return self.source or f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.provider}"
