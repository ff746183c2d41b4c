"""What a plugin's author checks a cell, a head or a store with; needs no test framework."""

from rnnframe.testing.gradients import check_gradients, numeric_gradients, numeric_state_gradient

__all__ = ["check_gradients", "numeric_gradients", "numeric_state_gradient"]
