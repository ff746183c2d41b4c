"""Tapes: what the chunks leave for their reverse, laid out so that a chunk may be cut where samples end."""

import itertools
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Rounding, Vector
from rnnframe.contracts.retention import TapeRetention
from rnnframe.data.pieces import Block
from rnnframe.network.placed import PlacedLayer
from rnnframe.network.shared_arrays import SharedArrays
from rnnframe.network.tape_shapes import ENDS, TapeShapes

_numbers = itertools.count(1)


@attrs.frozen(eq=False)
class Layout:
    """The arrays of one layer for a chunk: the states of all samples at its start [B, width], and all arrays by piece.

    A piece begins with the state that the one before it ended with, less the samples that ended there. Those come
    first, so that the two share this row of memory, and a chunk with cuts needs no more room than one without.
    """

    start: dict[str, Array]
    pieces: list[dict[str, Array]]


@attrs.frozen(eq=False)
class Views:
    """The arrays of a tape as views of its memory: by layer, by piece, and the rows before and after the chunk."""

    layouts: list[Layout]
    pieces: list[list[dict[str, Array]]]
    ends: list[dict[str, Array]]


class Tape:
    """What one chunk leaves for its reverse, of all layers: what is kept in one flat vector, the rest in `shared`.

    Of a state that is not kept, the rows before and after the chunk are (`Views.ends`). The tape remembers how the
    chunk was cut that was run last, and if that run began `afresh`. Views of the arrays are made when first used, and
    `rest` drops them where they take much memory beside the arrays: there may be one tape for every step.
    """

    _views: Views | None
    __slots__ = ("_cuts", "_flat", "_larger", "_made_by", "_passing", "_steps", "_views", "_whole", "afresh", "number")

    def __init__(self, flat: Array, made_by: "TapeFactory") -> None:
        self.number, self._flat, self._made_by, self._steps, self._views = next(_numbers), flat, made_by, 0, None
        self.afresh = self._passing = False
        self._cuts: Array | None = None  # first sample, steps and samples of each piece; None: all of `_steps`, uncut
        self._whole: dict[int, Views] | None = None
        self._larger: dict[tuple[int, str], Array] | None = None

    @property
    def retention(self) -> TapeRetention:
        """What layers were asked to retain."""
        return self._made_by.shapes.retention

    @property
    def rebuilt(self) -> frozenset[str]:
        """The layers, by prefix, of which something was neither kept nor rounded."""
        return self._made_by.shapes.rebuilt

    @property
    def pieces(self) -> list[list[dict[str, Array]]]:
        """The arrays of each layer, by piece."""
        return self._laid_out().pieces

    def begin(self, block: Block, state: Vector) -> None:
        """Lay out the arrays for the pieces of a block that starts from `state`."""
        cuts = [(piece.first, *piece.size) for piece in block.pieces]
        whole = len(cuts) == 1 and cuts[0][0] == 0
        self._cuts = None if whole else np.array(cuts, np.int32).reshape(-1, 3)
        self._views, self._steps = None, cuts[0][1] if whole else 0
        self._passing, self._made_by.shared.passing = self._made_by.shared.passing, False
        for layer, layout in zip(self._made_by.layers, self._laid_out().layouts, strict=True):
            for name, value in state.group(layer.prefix).items():
                layout.start[name][...] = value

    def end(self, state: Vector) -> None:
        """Make `state` the one after the chunk, or after a sample's end within it."""
        views = self._laid_out()
        for layer, layout, ends in zip(self._made_by.layers, views.layouts, views.ends, strict=True):
            held = state.group(layer.prefix)
            for name, value in held.items():
                self._last_rows(layout, name, value)
            for name, rows in ends.items():
                rows[0], rows[1] = layout.start[name], held[name]
        self._round()
        self.rest()

    def _round(self) -> None:
        """Take what is rounded from the shared arrays, which are then no longer what the tape gives back."""
        shared = self._made_by.shared
        shared.holds = 0 if len(shared.rounded) else self.number
        if len(shared.rounded) and not self._passing:
            shared.rounding.to_bfloat16(shared.rounded, self._halves())

    def _halves(self) -> Array:
        """Return the memory of the rounded numbers, two bytes for each: the last of what is kept."""
        count = len(self._made_by.shared.rounded)
        halves: Array = self._flat[len(self._flat) - (count + 1) // 2 :].view(np.uint16)
        return halves[:count]

    def resume(self, state: Vector) -> None:
        """Make `state` again what `end` has made it, also of samples that had ended before the chunk."""
        views = self._laid_out()
        for layer, layout, ends in zip(self._made_by.layers, views.layouts, views.ends, strict=True):
            for name, value in state.group(layer.prefix).items():
                if name in ends:
                    value[...] = ends[name][1]
                else:
                    value[...] = layout.start[name]
                    self._last_rows(layout, name, value)
        self.rest()

    def rest(self) -> None:
        """Drop the views if they take much memory compared with the arrays; they are made again when needed."""
        if not self._may_keep(1 if self._cuts is None else len(self._cuts)):
            self._views = None

    @property
    def lacks_arrays(self) -> bool:
        """Whether arrays that are not kept are those of another chunk."""
        return bool(self._made_by.shared.arrays) and self._made_by.shared.holds != self.number

    def begin_again(self) -> None:
        """Fill in what was rounded, and the state that the chunk started from, so that the rest can be rebuilt."""
        views, shared = self._laid_out(), self._made_by.shared
        if len(shared.rounded):
            assert not self._passing, "the chunk was run for the state after it alone"
            shared.rounding.widen(self._halves(), shared.rounded)
        for layout, ends in zip(views.layouts, views.ends, strict=True):
            for name, rows in ends.items():
                layout.start[name][...] = rows[0]
        shared.holds = self.number

    def _last_rows(self, layout: Layout, name: str, value: Array) -> None:
        firsts = [0] if self._cuts is None else self._cuts[:, 0].tolist()
        for first, arrays in zip(firsts, layout.pieces, strict=True):
            value[first:] = arrays[name][-1]

    @property
    def extra_bytes(self) -> int:
        """Bytes beside those planned: of states that are not in `Layer.tape`, in chunks that are cut."""
        return sum(array.nbytes for array in (self._larger or {}).values())

    def layers(self, steps: int) -> list[dict[str, Array]]:
        """Return the arrays of each layer for a chunk of `steps` steps without cuts; a state has one row more."""
        return self._of_whole(steps).pieces[0]

    def _may_keep(self, pieces: int) -> bool:
        return self._flat.nbytes >= LASTING * pieces * self._made_by.arrays

    def _laid_out(self) -> Views:
        if self._views is None:
            self._views = self._of_whole(self._steps) if self._cuts is None else self._made(self._cuts[:, 1:].tolist())
        return self._views

    def _of_whole(self, steps: int) -> Views:
        if self._whole is not None and steps in self._whole:
            return self._whole[steps]
        views = self._made([(steps, self._made_by.batch)])
        self._whole = {**(self._whole or {}), steps: views} if self._may_keep(1) else None
        return views

    def _made(self, sizes: Sequence[tuple[int, int]]) -> Views:
        """Return the views for pieces of so many steps and samples."""
        kept, shared = self._made_by.vector(self._flat), self._made_by.shared.arrays
        layouts, ends = [], []
        for number, layer in enumerate(self._made_by.layers):
            mine = kept.group(layer.prefix)
            layouts.append(self._lay_out(number, mine | shared.group(layer.prefix), sizes))
            ends.append({name.removesuffix(ENDS): view for name, view in mine.items() if name.endswith(ENDS)})
        return Views(layouts, [[layout.pieces[n] for layout in layouts] for n in range(len(sizes))], ends)

    def _lay_out(self, layer: int, own: dict[str, Array], sizes: Sequence[tuple[int, int]]) -> Layout:
        """Lay out one layer's arrays for pieces of so many steps and samples."""
        at, layout = self._made_by.layers[layer], Layout({}, [{} for _ in sizes])
        state, tape = at.state, at.tape
        for name in {**state, **tape}:
            lengths = [(steps if name in tape else 1, samples) for steps, samples in sizes]
            end = self._made_by.batch if name in state else 0
            rows = self._rows((layer, name), own[name], end + sum(steps * samples for steps, samples in lengths))
            if name in state:
                layout.start[name] = rows[:end]
            for arrays, (steps, samples) in zip(layout.pieces, lengths, strict=True):
                begin, end = end - samples if name in state else end, end + steps * samples
                arrays[name] = rows[begin:end].reshape(-1, samples, rows.shape[1])
        return layout

    def _rows(self, key: tuple[int, str], array: Array, count: int) -> Array:
        """Return `count` rows [count, width] for an array, where it is kept or, if that is too small, elsewhere."""
        rows = array.reshape(-1, array.shape[2])
        if count <= len(rows):
            return rows
        larger = self._larger = {} if self._larger is None else self._larger
        if len(larger.get(key, ())) < count:
            larger[key] = np.empty((count, array.shape[2]), array.dtype)
        return larger[key]


class TapeFactory:
    """Makes the tapes of a shard, and once the arrays that they share."""

    def __init__(
        self, layers: tuple[PlacedLayer, ...], batch: int, shapes: TapeShapes, dtype: np.dtype[Any], rounding: Rounding
    ) -> None:
        self.layers, self.batch, self.shapes, self._dtype = layers, batch, shapes, dtype
        self.shared = SharedArrays(shapes, dtype, rounding)
        self.arrays = len(shapes.kept) + len(shapes.shared)

    @property
    def nbytes(self) -> int:
        """Bytes of the shared arrays."""
        return self.shared.nbytes

    def vector(self, flat: Array | None) -> Vector:
        """Return what is kept of a tape by name, in new memory or in that given."""
        return Vector(self.shapes.kept, self._dtype, flat)

    def make(self, room: Array | None = None) -> Tape:
        """Return an uninitialised tape, in new memory or in the `room` given."""
        return Tape(self.vector(room).flat, self)

    def passing(self) -> None:
        """Any tape that is free serves for a chunk that is not reversed, and rounds nothing for it."""
        self.shared.passing = True


LASTING = 1 << 14
"""Bytes of a tape for each of its views from which on these stay: a view takes about 200."""
