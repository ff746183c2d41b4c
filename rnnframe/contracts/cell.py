"""`Cell`: a recurrent layer."""

import abc

import attrs

from rnnframe.contracts.layer import Layer, Widths


@attrs.frozen(kw_only=True)
class Cell(Layer):
    """A recurrent layer, which processes whole blocks of time.

    `block.tape["h"][1:]` is the output, which the next layer receives; h is part of the state. The usual parameters are
    U [inputs, gates·H], W [H, gates·H] and biases.

    Parameters
    ----------
    hidden : int
        Units H.
    """

    hidden: int

    def width(self, inputs: int) -> int:
        """H, whatever comes in."""
        return self.hidden

    @abc.abstractmethod
    def state(self, inputs: int) -> Widths:
        """Return name -> width per sample of what one step passes to the next; "h" is the output."""
