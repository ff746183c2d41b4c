"""Tapes: what the chunks leave for their reverse, laid out so that a chunk may be cut where samples end."""

import itertools
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Shapes, Vector
from rnnframe.contracts.layer import TapeRetention
from rnnframe.data.pieces import Block
from rnnframe.network.placed import PlacedLayer

_numbers = itertools.count(1)


class SharedArrays:
    """The arrays of a chunk's tape that are not kept with it: one set, which all tapes of a shard share.

    `holds` is the number of the tape whose arrays they are at the moment.
    """

    def __init__(self, shapes: Shapes, retention: TapeRetention, dtype: np.dtype[Any]) -> None:
        self.retention = retention
        self.arrays = Vector(shapes, dtype)
        self.holds = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.arrays.nbytes


@attrs.frozen(eq=False)
class Layout:
    """The arrays of one layer for a chunk: the states of all samples at its start [B, width], and all arrays by piece.

    A piece begins with the state that the one before it ended with, less the samples that ended there. Those come
    first, so that the two share this row of memory, and a chunk with cuts needs no more room than one without.
    """

    start: dict[str, Array]
    pieces: list[dict[str, Array]]


class Tape:
    """What one chunk leaves for its reverse, of all layers: what is kept in one flat vector, the rest in `shared`.

    Of a state that is not kept, the rows before and after the chunk are (`_ends`). The tape remembers how the chunk was
    cut that was run last.
    """

    def __init__(self, kept: Vector, shared: SharedArrays, layers: tuple[PlacedLayer, ...], batch: int) -> None:
        self.number = next(_numbers)
        self._shared = shared
        self._layers = layers
        self._arrays = [kept.group(layer.prefix) | shared.arrays.group(layer.prefix) for layer in layers]
        self._batch = batch
        self._layouts: list[Layout] = []
        self._firsts: list[int] = []
        self.pieces: list[list[dict[str, Array]]] = []
        """The arrays of each layer, by piece."""
        self._uncut: dict[int, tuple[list[Layout], list[list[dict[str, Array]]]]] = {}
        self._larger: dict[tuple[int, str], Array] = {}
        self._ends = [
            {name.removesuffix(ENDS): view for name, view in kept.group(layer.prefix).items() if name.endswith(ENDS)}
            for layer in layers
        ]

    @property
    def retention(self) -> TapeRetention:
        """How much of the tape stays with its chunk."""
        return self._shared.retention

    def begin(self, block: Block, state: Vector) -> None:
        """Lay out the arrays for the pieces of a block that starts from `state`."""
        self._firsts = [piece.first for piece in block.pieces]
        sizes = [piece.size for piece in block.pieces]
        if self._firsts == [0]:
            self._layouts, self.pieces = self._whole(sizes[0][0])
        else:
            self._layouts, self.pieces = self._laid_out(sizes)
        for layer, layout in zip(self._layers, self._layouts, strict=True):
            for name, value in state.group(layer.prefix).items():
                layout.start[name][...] = value

    def end(self, state: Vector) -> None:
        """Make `state` the one after the chunk, or after a sample's end within it."""
        for layer, layout, ends in zip(self._layers, self._layouts, self._ends, strict=True):
            held = state.group(layer.prefix)
            for name, value in held.items():
                self._last_rows(layout, name, value)
            for name, rows in ends.items():
                rows[0], rows[1] = layout.start[name], held[name]
        self._shared.holds = self.number

    def resume(self, state: Vector) -> None:
        """Make `state` again what `end` has made it, also of samples that had ended before the chunk."""
        for layer, layout, ends in zip(self._layers, self._layouts, self._ends, strict=True):
            for name, value in state.group(layer.prefix).items():
                if name in ends:
                    value[...] = ends[name][1]
                else:
                    value[...] = layout.start[name]
                    self._last_rows(layout, name, value)

    @property
    def lacks_arrays(self) -> bool:
        """Whether arrays that are not kept are those of another chunk."""
        return bool(self._shared.arrays) and self._shared.holds != self.number

    def begin_again(self) -> None:
        """Write the state that the chunk started from where it is not kept, so that the arrays can be rebuilt."""
        for layout, ends in zip(self._layouts, self._ends, strict=True):
            for name, rows in ends.items():
                layout.start[name][...] = rows[0]
        self._shared.holds = self.number

    def _last_rows(self, layout: Layout, name: str, value: Array) -> None:
        for first, arrays in zip(self._firsts, layout.pieces, strict=True):
            value[first:] = arrays[name][-1]

    @property
    def extra_bytes(self) -> int:
        """Bytes beside those planned: of states that are not in `Layer.tape`, in chunks that are cut."""
        return sum(array.nbytes for array in self._larger.values())

    def layers(self, steps: int) -> list[dict[str, Array]]:
        """Return the arrays of each layer for a chunk of `steps` steps without cuts; a state has one row more."""
        return self._whole(steps)[1][0]

    def _whole(self, steps: int) -> tuple[list[Layout], list[list[dict[str, Array]]]]:
        if steps not in self._uncut:
            self._uncut[steps] = self._laid_out([(steps, self._batch)])
        return self._uncut[steps]

    def _laid_out(self, sizes: Sequence[tuple[int, int]]) -> tuple[list[Layout], list[list[dict[str, Array]]]]:
        """Return the layout of every layer, and the same by piece."""
        layouts = [self._lay_out(layer, sizes) for layer in range(len(self._layers))]
        return layouts, [[layout.pieces[n] for layout in layouts] for n in range(len(sizes))]

    def _lay_out(self, layer: int, sizes: Sequence[tuple[int, int]]) -> Layout:
        """Lay out one layer's arrays for pieces of so many steps and samples."""
        at, layout = self._layers[layer], Layout({}, [{} for _ in sizes])
        state, tape = at.state, at.tape
        for name in {**state, **tape}:
            lengths = [(steps if name in tape else 1, samples) for steps, samples in sizes]
            end = self._batch if name in state else 0
            rows = self._rows(layer, name, end + sum(steps * samples for steps, samples in lengths))
            if name in state:
                layout.start[name] = rows[:end]
            for arrays, (steps, samples) in zip(layout.pieces, lengths, strict=True):
                begin, end = end - samples if name in state else end, end + steps * samples
                arrays[name] = rows[begin:end].reshape(-1, samples, rows.shape[1])
        return layout

    def _rows(self, layer: int, name: str, count: int) -> Array:
        """Return `count` rows [count, width] for an array, where it is kept or, if that is too small, elsewhere."""
        array = self._arrays[layer][name]
        rows = array.reshape(-1, array.shape[2])
        if count <= len(rows):
            return rows
        if len(self._larger.get((layer, name), ())) < count:
            self._larger[layer, name] = np.empty((count, array.shape[2]), array.dtype)
        return self._larger[layer, name]


class TapeFactory:
    """Makes the tapes of a shard, and once the arrays that they share."""

    def __init__(
        self, layers: tuple[PlacedLayer, ...], steps: int, batch: int, retention: TapeRetention, dtype: np.dtype[Any]
    ) -> None:
        self._layers, self._batch, self._dtype = layers, batch, dtype
        self._kept, shared = tape_shapes(layers, steps, batch, retention)
        self._shared = SharedArrays(shared, retention, dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the shared arrays."""
        return self._shared.nbytes

    def make(self, room: Array | None = None) -> Tape:
        """Return an uninitialised tape, in new memory or in the `room` given."""
        return Tape(Vector(self._kept, self._dtype, room), self._shared, self._layers, self._batch)

    def passing(self) -> None:
        """Any tape that is free serves for a chunk that is not reversed."""


ENDS = "@ends"


def tape_shapes(
    layers: tuple[PlacedLayer, ...], steps: int, batch: int, retention: TapeRetention
) -> tuple[Shapes, Shapes]:
    """Return the shapes of what stays with a chunk, and of what does not; it begins with the state at its start."""
    kept: dict[str, tuple[int, ...]] = {}
    working: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        state, tape = layer.state, layer.tape
        stays = layer.layer.retained_arrays(layer.inputs, retention)
        for name, width in tape.items():
            into = kept if name in stays else working
            into[f"{layer.prefix}.{name}"] = (steps + (name in state), batch, width)
        for name in sorted(state.keys() - tape.keys()):
            kept[f"{layer.prefix}.{name}"] = (2, batch, state[name])
        for name in sorted(state.keys() & tape.keys() - set(stays)):
            kept[f"{layer.prefix}.{name}{ENDS}"] = (2, batch, state[name])
    return kept, working
