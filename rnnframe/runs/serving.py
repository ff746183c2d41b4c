"""Answers to lines of JSON: a line is a time step of a session, its answer is what is predicted.

    {"x": [0.5, 1.2]}                       -> {"prediction": ...}
    {"session": "a", "x": {"price": 3.2}}   -> {"session": "a", "prediction": ...}
    {"session": "a", "reset": true}         -> {"session": "a", "reset": true}

A line that cannot be answered gets {"error": "..."}, and leaves its session as it was.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnnframe.arrays import Vector
from rnnframe.errors import DataError, RnnframeError
from rnnframe.runs.model import Model
from rnnframe.runs.task_stream import TaskStream

LONGEST = 1 << 20
"""Bytes of a line; a longer one is an error."""
MOST_SESSIONS = 10_000
"""Sessions whose states are kept; one that is reset is not kept until its next step."""
KEYS = ("x", "session", "reset")


class Service:
    """A model that follows any number of sessions, each with a state of its own; for one thread."""

    def __init__(self, model: Model) -> None:
        self._stream = model.stream()
        self._in_units = isinstance(self._stream, TaskStream)
        self._states: dict[str, Vector] = {}

    def answer(self, line: bytes) -> str:
        """Return the answer to a line, one line of JSON."""
        session: Any = None
        try:
            asked = _read(line)
            session = asked.get("session")
            told = self._told(asked, session)
        except RnnframeError as error:
            told = {"error": " ".join(str(error).split())}
        return json.dumps(told if session is None else {"session": session, **told})

    def _told(self, asked: Mapping[str, Any], session: Any) -> dict[str, Any]:
        name = "" if session is None else session
        if not isinstance(name, str):
            raise DataError(f"session is {session!r:.60}; expected a text")
        if not isinstance(asked.get("reset", False), bool):
            raise DataError(f"reset is {asked['reset']!r:.60}; expected true or false")
        if "x" in asked:
            return {"prediction": self._step(name, asked["x"], afresh=asked.get("reset", False))}
        if not asked.get("reset"):
            raise DataError('the line has no "x", the values of a time step')
        self._states.pop(name, None)
        return {"reset": True}

    def _step(self, name: str, x: Any, *, afresh: bool) -> Any:
        if name not in self._states and len(self._states) >= MOST_SESSIONS:
            raise DataError(f"there are {MOST_SESSIONS:,} sessions already; reset one that has ended")
        self._stream.state = None if afresh else self._states.get(name)
        prediction = self._stream.step(x) if self._in_units else self._stream.step(_row(x))[0].tolist()
        try:
            json.dumps(prediction, allow_nan=False)
        except ValueError:
            raise DataError("the prediction is not finite; the parameters or the values are too large") from None
        self._states[name] = self._stream.state
        return prediction


def _read(line: bytes) -> Mapping[str, Any]:
    try:
        asked = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # ValueError: also bytes that are no UTF-8
        reason = str(error).partition("\n")[0] or "it is nested too deep"
        raise DataError(f"the line is no JSON: {reason}") from None
    if not isinstance(asked, dict):
        raise DataError('the line is no JSON object; expected one such as {"x": [0.5, 1.2]}')
    unknown = [key for key in asked if key not in KEYS]
    if unknown:
        raise DataError(f"the line has a key {unknown[0]!r:.60}; expected {', '.join(KEYS)}")
    return asked


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _row(x: Any) -> Any:
    """Return what a network takes for one step of one sample: a list of numbers, or the number of a row."""
    given = x if isinstance(x, list) else [x]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
        raise DataError(f"x is {x!r:.60}; expected a list of numbers, or one row number")
    try:
        return np.array([given], np.float64) if isinstance(x, list) else np.array([x])
    except OverflowError:
        raise DataError("x holds a number that is too large") from None
