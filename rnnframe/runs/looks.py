"""The looks at the gradient that a metrics file has: a few of them, over the whole training."""

import attrs

from rnnframe.arrays import Array

MOST = 64
"""Looks that are kept at most; of more, every second one is left out, again and again."""


@attrs.frozen(kw_only=True, eq=False)
class Look:
    """One look at the gradient.

    Parameters
    ----------
    x
        Updates, steps or seconds of training before it.
    epoch
        The epoch, finished or not.
    steps
        The steps before which the gradient was looked at, [n].
    norms
        Array of the state -> norm of the gradient that reaches it from later steps, [n].
    spectral_radius, saturated
        W -> largest absolute eigenvalue; gate -> share of values near 0 or 1.
    """

    x: float
    epoch: int
    steps: Array
    norms: dict[str, Array]
    spectral_radius: dict[str, float]
    saturated: dict[str, float]


@attrs.define
class Looks:
    """Looks in the order of time: the first, the last, and some evenly between them."""

    kept: list[Look] = attrs.field(factory=list)
    _every: int = 1
    _taken: int = 0
    _last: Look | None = None

    def add(self, look: Look) -> None:
        """Take a look in."""
        if self._taken % self._every == 0:
            self.kept.append(look)
        self._taken, self._last = self._taken + 1, look
        if len(self.kept) > MOST:
            self.kept, self._every = self.kept[::2], 2 * self._every

    def all(self) -> list[Look]:
        """Return those that are kept, and the last one."""
        if self._last is None or self._last is self.kept[-1]:
            return list(self.kept)
        return [*self.kept, self._last]
