"""`Cell`: a recurrent layer."""

import abc

import attrs

from rnnframe.contracts.layer import Layer, Widths


@attrs.frozen(kw_only=True)
class Cell(Layer):
    """A recurrent layer of `hidden` units, given whole blocks of time.

    `block.tape["h"][1:]` is the output, handed to the next layer; h is part of the state. Formulas and shapes:
    U [inputs, gates·H], W [H, gates·H], biases.
    """

    hidden: int

    def width(self, inputs: int) -> int:
        """H, whatever comes in."""
        return self.hidden

    @abc.abstractmethod
    def state(self, inputs: int) -> Widths:
        """Return name -> width per sample of what one step hands to the next; "h" is the output."""
