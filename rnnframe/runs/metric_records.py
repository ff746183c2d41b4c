"""One line of a metrics file, which may hold anything."""

import math
import reprlib
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.errors import RunError
from rnnframe.runs.looks import Look


@attrs.frozen
class MetricRecord:
    """The values of one line of a metrics file, each checked when it is asked for."""

    values: dict[str, Any]
    path: Path
    line: int

    def number(self, name: str) -> float | None:
        """Return a number; None where there is none; raises `RunError` for anything else."""
        value = self.values.get(name)
        return None if value is None else self._checked(name, value)

    def whole(self, name: str) -> int | None:
        """Return a finite number as a whole one."""
        value = self.number(name)
        return None if value is None or not math.isfinite(value) else int(value)

    def measures(self) -> list[tuple[str, float]]:
        """Return the measures of an evaluation by name."""
        return list(self._by_name("measures").items())

    def look(self, x: float) -> Look:
        """Return the look at the gradient that was taken at `x`."""
        steps = self._list("steps", self.values.get("steps"))
        norms = {name: self._list("norms", values) for name, values in self._dict("norms").items()}
        if any(len(values) != len(steps) for values in norms.values()):
            raise self._wrong("norms", self.values["norms"], f"{len(steps)} numbers by name, one for each of the steps")
        return Look(
            x=x,
            epoch=self.whole("epoch") or 0,
            steps=steps,
            norms=norms,
            spectral_radius=self._by_name("spectral_radius"),
            saturated=self._by_name("saturated"),
        )

    def _by_name(self, name: str) -> dict[str, float]:
        return {each: self._checked(each, value) for each, value in self._dict(name).items()}

    def _dict(self, name: str) -> dict[str, Any]:
        found = self.values.get(name) or {}
        if not isinstance(found, dict):
            raise self._wrong(name, found, "numbers by name")
        return found

    def _list(self, name: str, found: Any) -> Array:
        if not isinstance(found, list):
            raise self._wrong(name, found, "a list of numbers")
        return np.array([self._checked(name, value) for value in found], np.float64)

    def _checked(self, name: str, value: Any) -> float:
        try:
            if type(value) in (int, float):
                return float(value)
        except OverflowError:
            pass
        raise self._wrong(name, value, "a number")

    def _wrong(self, name: str, value: Any, expected: str) -> RunError:
        shown = reprlib.repr(value)
        return RunError(f"{str(self.path)!r}, line {self.line}: {reprlib.repr(name)} is {shown}; expected {expected}")
