"""A layer in its place in a network."""

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, TypeVar

import attrs

from rnnframe.contracts.cell import Cell
from rnnframe.contracts.head import Head
from rnnframe.contracts.layer import Layer, Sizes, Widths, output_of
from rnnframe.contracts.retention import TapeRetention
from rnnframe.errors import PluginError
from rnnframe.registry.blame import BlameNote, Describe
from rnnframe.registry.kinds import kind_of

T = TypeVar("T")


@attrs.frozen(eq=False)
class PlacedLayer:
    """A layer with its position in a network. `state`, `tape` and `width` of the layer are read once.

    Parameters
    ----------
    number : int
        Counted from the inputs upwards.
    layer : Layer
        The layer.
    inputs : int
        The width of its inputs.
    describe : function (kind, class) -> str
        Names the layer and its plugin in errors.
    """

    number: int
    layer: Layer
    inputs: int
    describe: Describe = attrs.field(repr=False)
    prefix: str = attrs.field(init=False)
    note: BlameNote = attrs.field(init=False, repr=False)
    """What says whose layer was at work when something is raised."""
    state: Widths = attrs.field(init=False, repr=False)
    tape: Widths = attrs.field(init=False, repr=False)
    width: int = attrs.field(init=False)

    @prefix.default
    def _prefix(self) -> str:
        return f"layer{self.number}"

    @state.default
    def _state(self) -> Widths:
        with self.note:
            return self.layer.state(self.inputs)

    @tape.default
    def _tape(self) -> Widths:
        with self.note:
            return self.layer.tape(self.inputs)

    @width.default
    def _width(self) -> int:
        with self.note:
            return self.layer.width(self.inputs)

    @note.default
    def _note(self) -> BlameNote:
        return BlameNote(f"layer{self.number}", kind_of(type(self.layer)), type(self.layer), self.describe)

    def __attrs_post_init__(self) -> None:
        """Refuse a layer whose outputs would be read where they are not."""
        name, whose = self.layer.output, f"layer{self.number}, {self.describe(self.note.kind, self.note.cls)}"
        if isinstance(self.layer, Cell) and name not in self.state:
            raise PluginError(
                f"{whose}: state() has {sorted(self.state)} and not the output {name!r}, which a Cell passes on from "
                "step to step; derive from rnnframe.plugin.Layer for a layer without such a state"
            )
        if self.tape.get(name) != self.width:
            raise PluginError(
                f"{whose}: its output {name!r} is {self.tape.get(name)} wide in tape(); expected its width {self.width}"
            )

    @property
    def is_trained(self) -> bool:
        """Whether the layer has parameters."""
        with self.note:
            return bool(self.layer.parameters(self.inputs))

    def named(self, values: Mapping[str, T]) -> dict[str, T]:
        """Return values by the names that they have in the network."""
        return {f"{self.prefix}.{name}": value for name, value in values.items()}

    def retained_arrays(self, retention: TapeRetention) -> tuple[str, ...]:
        """Return the names of those arrays of the tape that stay with a chunk."""
        with self.note:
            return self.layer.retained_arrays(self.inputs, retention)

    @property
    def unrounded(self) -> tuple[str, ...]:
        """The arrays of the tape that are never rounded."""
        with self.note:
            return self.layer.unrounded

    @property
    def scratch(self) -> Sizes:
        """The layer's working arrays."""
        with self.note:
            return self.layer.scratch(self.inputs)

    def output(self, arrays: Mapping[str, Any]) -> Any:
        """Return the outputs [l, n, width] of a piece, from the layer's arrays."""
        return output_of(self.layer, self.inputs, arrays)


def head_note(head: Head | None, describe: Describe) -> BlameNote:
    """Return what says whose loss or readout was at work when something is raised."""
    if head is None:
        return BlameNote("the head", "loss", NoneType, describe)
    loss, readout = ("loss", head.loss), ("readout", head.readout)
    return BlameNote("the head", "loss", type(head.loss), describe, (loss, readout))


def lowest_reversed(layers: Sequence[PlacedLayer]) -> int:
    """Return the first layer with parameters or a state: below it nothing has a gradient but the inputs."""
    return next((number for number, at in enumerate(layers) if at.state or at.is_trained), len(layers))
