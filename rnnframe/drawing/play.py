"""The page of `rnnframe play`: one file with the player's HTML, CSS and JavaScript, and the films as JSON inside it."""

import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from rnnframe.arrays import Array
from rnnframe.inspection.film import Buffer, Film, Moment
from rnnframe.inspection.watched import WatchedValues
from rnnframe.registry.specs import render
from rnnframe.sizes import human_bytes

KINDS = ("forward", "tape", "reverse", "save", "load", "drop", "forget", "update")
BUFFERS = ("tape", "snapshot", "far")
DIGITS = 4
MOST_VALUES = 25_000
"""Numbers of a film that a page carries; of larger networks the values are left out."""


def play_page(
    films: Sequence[Film], values: Sequence[WatchedValues | None], full_history: int | None, about: str
) -> str:
    """Return a page that plays one film, or two side by side on one clock.

    Parameters
    ----------
    films
        One or two films of the same network and length.
    values
        What a real run computed, for each film; None leaves it out.
    full_history
        The bytes that full history would hold, with which the bars of memory are compared; None where it is unknown.
    about
        A sentence about the network and the data.

    Returns
    -------
    str
        The HTML of the page. It loads nothing from elsewhere.
    """
    heading = " beside ".join(render(film.plan.store) for film in films)
    peaks = [film.plan.predicted_bytes or 0 for film in films]
    data = {
        "films": [_film(n, film, seen) for n, (film, seen) in enumerate(zip(films, values, strict=True))],
        "most": max(*peaks, full_history or 0, 1),
    }
    if full_history:
        about += f" Full history would hold {human_bytes(full_history)}."
    player = files("rnnframe.drawing") / "player"
    parts = {
        "TITLE": html.escape(f"{heading}: rnnframe play"),
        "HEADING": re.sub("([,:])", r"\1<wbr>", html.escape(heading)),
        "ABOUT": html.escape(about),
        "SUMMARY": html.escape(" ".join(_summary(film) for film in films)),
        "CSS": (player / "page.css").read_text("utf-8"),
        "JS": (player / "page.js").read_text("utf-8"),
        "DATA": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    }
    page = (player / "page.html").read_text("utf-8")
    for name, text in parts.items():
        page = page.replace(f"@{name}@", text)
    return page


def _summary(film: Film) -> str:
    done, plan = film.plan.simulation, film.plan
    return (
        f"{render(plan.store)} runs {done.forward_steps} steps forward and {done.reverse_steps} back, "
        f"and holds at most {human_bytes(plan.predicted_bytes)}."
    )


def _film(number: int, film: Film, values: WatchedValues | None) -> dict[str, Any]:
    plan = film.plan
    chunks = plan.grid.chunks or 0
    inexact = "rounded: near the exact gradient" if plan.store.exact else "truncated: not the exact gradient"
    return {
        "id": f"film{number}",
        "title": f"{render(plan.store)} ({'exact' if plan.exact else inexact})",
        "starts": [0, *(plan.grid.span(chunk)[1] for chunk in range(chunks))],
        "bytes": {name: getattr(plan.costs, name) for name in ("fixed", "tape", "snapshot", "far", "weights")},
        "medium": plan.store.medium.name if plan.store.medium else "",
        "keepsWeights": plan.store.stores_weights,
        "updates": plan.simulation.updates,
        "actions": plan.simulation.actions,
        "sources": [{"name": source.name, "lines": source.lines} for source in film.sources],
        "moments": [_moment(moment) for moment in film.moments],
        "values": _values(values),
    }


def _moment(moment: Moment) -> list[Any]:
    return [
        KINDS.index(moment.kind),
        moment.action,
        moment.chunk,
        int(moment.counts),
        [_buffer(buffer) for buffer in moment.made],
        [_buffer(buffer) for buffer in moment.released],
        moment.passing,
        moment.line,
    ]


def _buffer(buffer: Buffer) -> list[int | None]:
    return [BUFFERS.index(buffer.kind), buffer.number, buffer.chunk, buffer.place]


def _values(values: WatchedValues | None) -> dict[str, Any] | None:
    """Return the output of the top layer after each chunk and the sums after each reverse, if they are few enough."""
    if values is None or not values.sums or values.output not in values.states[0]:
        return None
    top = values.output
    names = list(values.sums[0])
    count = sum(array.size for array in values.sums[0].values()) * len(values.sums)
    if count + values.states[0][top].size * len(values.states) > MOST_VALUES:
        return None
    shapes = [array.shape for array in values.sums[0].values()]
    return {
        "states": [_numbers(state[top]) for state in values.states],
        "names": [name.replace("head.", "").replace("layer0.", "") for name in names],
        "shapes": [shape if len(shape) == 2 else (1, shape[0]) for shape in shapes],
        "most": [max(float(abs(sums[name]).max(initial=0)) for sums in values.sums) for name in names],
        "sums": [[_numbers(sums[name]) for name in names] for sums in values.sums],
    }


def _numbers(array: Array) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in array.ravel().tolist()]
