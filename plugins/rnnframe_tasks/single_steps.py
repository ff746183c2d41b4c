"""Single steps of series and sequences in the units of their files, for models that run as values arrive."""

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError, StepUnits
from rnnframe_tasks.scales import Scale


@attrs.frozen(kw_only=True, eq=False)
class Channels(StepUnits):
    """Values of channels, standardised as the model was trained on them; channels have names where a file has them."""

    scale: Scale
    names: tuple[str, ...] = ()

    def read(self, value: Any) -> Array:
        """Return the values of a step [1, channels], given as a list, by name, or as a number where there is one."""
        count = len(self.scale.mean)
        if isinstance(value, Mapping) and self.names:
            if set(value) != set(self.names):
                raise DataError(f"x has the values {', '.join(map(str, value))}; expected {', '.join(self.names)}")
            value = [value[name] for name in self.names]
        given = [value] if isinstance(value, int | float) else value
        if not isinstance(given, list | tuple | np.ndarray) or len(given) != count:
            named = f": {', '.join(self.names)}" if self.names else ""
            raise DataError(f"x is {value!r:.60}; a step of this model takes a list of {count} numbers{named}")
        return self.scale.apply(np.array([[_number(each) for each in given]]))


@attrs.frozen(kw_only=True, eq=False)
class ForecastSteps(Channels):
    """Rows of a series, and the forecasts made at them as `rnnframe predict` names them."""

    columns: tuple[str, ...]
    horizon: int
    quantiles: tuple[float, ...] = ()

    def write(self, outputs: Array) -> dict[str, float]:
        """Return the forecasts in the units of the file."""
        width, levels = len(self.columns), max(1, len(self.quantiles))
        values = outputs.astype(np.float64).reshape(self.horizon, width, levels)
        values = values * self.scale.spread[:width, None] + self.scale.mean[:width, None]
        values.sort(axis=-1)  # a network may let quantiles cross
        middle = int(np.abs(np.array(self.quantiles) - 0.5).argmin()) if self.quantiles else 0
        found = {}
        for k in range(self.horizon):
            for name, of_column in zip(self.columns, values[k], strict=True):
                found[f"{name}+{k + 1}"] = float(of_column[middle])
                found |= {f"{name}+{k + 1} q{q:g}": float(v) for q, v in zip(self.quantiles, of_column, strict=False)}
        return found


@attrs.frozen(kw_only=True, eq=False)
class ClassSteps(Channels):
    """Steps of a sequence that is put into a class, and what its class would be if it ended here."""

    labels: tuple[str, ...]

    def write(self, outputs: Array) -> dict[str, Any]:
        """Return the likeliest class and the probability of each."""
        probabilities = {f"p({label})": float(p) for label, p in zip(self.labels, outputs, strict=True)}
        return {"class": self.labels[int(outputs.argmax())], **probabilities}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise DataError(f"x holds {value!r:.60}; expected numbers")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not np.isfinite(number):
        raise DataError("x holds NaN or infinite values; remove or replace them")
    return number
