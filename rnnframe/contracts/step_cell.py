"""`StepCell`: a recurrent layer from the formula of one time step.

    @attrs.frozen(kw_only=True)
    class Elman(StepCell):
        name = "my-elman"
        reverse = "auto"

        def parameters(self, inputs):
            return {"U": (inputs, self.hidden), "W": (self.hidden, self.hidden), "b": (self.hidden,)}

        def step(self, p, xU, state):
            return {"h": np.tanh(xU + state["h"] @ p["W"] + p["b"])}

Blocks, tapes, looked-up inputs and the gradient of U are done here. What is lost is speed: the built-in cells take the
gradients of W and b, and whatever else can wait, once a block and in place; a step takes them at every step.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe.arrays import Array, Arrays
from rnnframe.arrays.products import add_input_product, is_lookup, panel_shape, project, write_input_gradient
from rnnframe.contracts.cell import Cell
from rnnframe.contracts.layer import BlockPass, Sizes, Widths
from rnnframe.errors import PluginError


def sigmoid(z: Any) -> Any:
    """Return σ(z) = 1 / (1 + exp(-z)), written with tanh so that it cannot overflow."""
    return 0.5 * np.tanh(0.5 * z) + 0.5


@attrs.frozen(kw_only=True)
class StepCell(Cell):
    """A recurrent layer whose author writes `step`, the formula of one time step, and perhaps its reverse.

    The second argument of `step` says by its name what it is to be: `xU`, the product of x_t with the parameter U, or
    `x`, x_t itself. With xU the product, its gradient and that of U are taken for whole blocks, and looked-up inputs
    cost no product at all; with x, looked-up inputs come as one-hot rows.

    reverse = "own": the author writes `step_backward`. reverse = "auto": the reverse follows from `step` through
    autograd (`pip install "rnnframe[auto]"`). Both give the gradients of the same formula, to rounding. A step leaves
    its state alone for the reverse, which runs the step again; `tape` may name more that `step` returns.

    Slower than whole blocks: one gradient of an LSTM (128 units, 64 inputs, batch 32, 200 steps) written in this way
    takes about 1.8 times as long as the built-in one with `step_backward`, and about 4 times with "auto" (measured on a
    2-core x86-64 machine, one thread). Deriving from `Cell` and writing whole blocks is the fast way.
    """

    reverse: ClassVar[Literal["own", "auto"]] = "own"
    hidden: int = attrs.field(default=128, validator=ge(1), metadata={"help": "units H"})

    def __attrs_post_init__(self) -> None:
        cls = type(self)
        if cls.step is StepCell.step:
            raise ValueError(f"{cls.__name__} has no step; write step(self, p, xU, state)")
        if _argument(cls.step) not in ("x", "xU"):
            raise ValueError(
                f"{cls.__name__}.step takes {_argument(cls.step)!r}; write step(self, p, xU, state) to be handed x_t "
                "times the parameter U, or step(self, p, x, state) to be handed x_t itself"
            )
        if self.reverse not in ("own", "auto"):
            raise ValueError(f'reverse={self.reverse!r} of {cls.__name__} is neither "own" nor "auto"')
        if self.reverse == "own" and cls.step_backward is StepCell.step_backward:
            raise ValueError(
                f'{cls.__name__} has no reverse; write step_backward, or reverse = "auto" to have it follow from step'
            )

    def step(self, p: Arrays, x: Array, state: Arrays, /) -> Mapping[str, Array]:
        """Return the state after a time step, and whatever else `tape` names: name -> [B, width].

        p: the parameters, but for U where x_t comes multiplied by it; x: x_t [B, inputs] or xU [B, columns of U];
        state: the state before the step. None of them may be written to.
        """
        raise NotImplementedError  # never reached: `__attrs_post_init__` has refused the cell

    def step_backward(
        self, p: Arrays, x: Array, state: Arrays, after: Arrays, dafter: Arrays, dp: Arrays, /
    ) -> tuple[Array, Mapping[str, Array]]:
        """Reverse one time step: add into `dp`; return the gradients of what `step` was handed, dx and dstate.

        p, x, state: as `step` had them; after: what it returned; dafter: the gradient that reaches each state after
        the step, which may be overwritten; dp: the gradients of `p`, summed up over time. dx has the shape of x (or of
        xU, where `step` takes that), dstate that of the state.
        """
        raise NotImplementedError  # never reached: `__attrs_post_init__` has refused the cell

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw matrices uniformly from ±1/sqrt(H); everything else is zero."""
        bound = 1 / np.sqrt(self.hidden)
        for array in parameters.values():
            array[...] = rng.uniform(-bound, bound, array.shape) if array.ndim > 1 else 0

    def state(self, inputs: int) -> Widths:
        """The state is h."""
        return {"h": self.hidden}

    def tape(self, inputs: int) -> Widths:
        """A step leaves its state."""
        return self.state(inputs)

    def scratch(self, inputs: int) -> Sizes:
        """The product xU and what its gradient needs; or an array of no rows that knows the width of x."""
        if not self._multiplied:
            return {"x": (0, inputs)}
        U = self.parameters(inputs).get("U", ())
        if len(U) != 2:
            raise PluginError(f"cell {self.name!r}: its step takes xU, but parameters() has no U [inputs, columns]")
        columns = U[1]
        return {"xU": columns, "panel": panel_shape(inputs, columns)}

    @property
    def _multiplied(self) -> bool:
        """Whether the step takes x_t multiplied by U."""
        return _argument(type(self).step) == "xU"

    def forward(self, block: BlockPass) -> None:
        """Run the block step by step."""
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        p, inputs, held = self._parameters(weights), self._inputs(weights, x, scratch), _locked(tape)
        states, left = self.state(block.inputs), self.tape(block.inputs)
        for t in range(len(x)):
            after = self.step(p, inputs(t), {name: held[name][t] for name in states})
            self._check("step returned", after, {name: tape[name][t] for name in left})
            for name in left:
                tape[name][t + (name in states)] = after[name]

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block step by step; with xU, dU and dL/dx are taken for the whole block at the end."""
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        reverse = self.step_backward if self.reverse == "own" else self._follow
        p, dp = self._parameters(weights), self._parameters(gradients, locked=False)
        inputs, held, states = self._inputs(weights, x, scratch), _locked(tape), self.state(block.inputs)
        dinputs = scratch["xU"] if self._multiplied else dx  # each row of xU is free as soon as its step is reversed
        for t in reversed(range(len(x))):
            before = {name: held[name][t] for name in states}
            after = {name: held[name][t + (name in states)] for name in self.tape(block.inputs)}
            dafter = {name: gradient.copy() for name, gradient in dstate.items()}
            dafter["h"] += dh[t]
            dx_t, dbefore = reverse(p, inputs(t), before, after, dafter, dp)
            self._check("step_backward returned", dbefore, dstate)
            for name, gradient in dstate.items():
                gradient[...] = dbefore[name]
            self._check("step_backward returned", {"dx": dx_t}, {"dx": inputs(t)})
            if dinputs is not None:
                dinputs[t] = dx_t
        if self._multiplied:
            dxU = scratch["xU"][: len(x)]
            add_input_product(x, dxU, gradients["U"], scratch["panel"])
            write_input_gradient(dxU, weights["U"], dx)
        for name, array in dp.items():
            if array is not gradients[name]:
                raise PluginError(f"cell {self.name!r}: step_backward replaced dp[{name!r}]; add into it with +=")

    def _parameters(self, arrays: Arrays, *, locked: bool = True) -> dict[str, Array]:
        """Return the arrays that a step sees: all but U where x_t comes multiplied by it."""
        seen = {name: array for name, array in arrays.items() if not (self._multiplied and name == "U")}
        return _locked(seen) if locked else seen

    def _inputs(self, weights: Arrays, x: Array, scratch: Arrays) -> Callable[[int], Array]:
        """Return what hands out the second argument of `step` for each t."""
        if self._multiplied:
            project(x, weights["U"], scratch["xU"])
            return _lock(scratch["xU"]).__getitem__
        return functools.partial(_one_hot, x, scratch["x"]) if is_lookup(x) else _lock(x).__getitem__

    def _follow(
        self, p: Arrays, x: Array, state: Arrays, after: Arrays, dafter: Arrays, dp: Arrays
    ) -> tuple[Array, Mapping[str, Array]]:
        """Do what `step_backward` does by following `step`."""
        from rnnframe.contracts.autograd import step_gradients

        slopes, dx, dstate = step_gradients(self.step, {name: p[name] for name in dp}, x, state, dafter)
        for name, array in dp.items():
            array += slopes[name]
        return dx, dstate

    def _check(self, who: str, given: Any, wanted: Arrays) -> None:
        if not isinstance(given, Mapping) or given.keys() != wanted.keys():
            got = sorted(given) if isinstance(given, Mapping) else f"a {type(given).__name__}"
            raise PluginError(f"cell {self.name!r}: {who} {got}; expected arrays by name: {sorted(wanted)}")
        for name, array in wanted.items():
            if np.shape(given[name]) != array.shape:
                raise PluginError(
                    f"cell {self.name!r}: {who} {name!r} of shape {list(np.shape(given[name]))}; "
                    f"expected {list(array.shape)}, batch first"
                )


@functools.cache
def _argument(step: Callable[..., Any]) -> str:
    """Return the name that the author of `step` gave its second argument."""
    names = [*inspect.signature(step).parameters]
    return names[2] if len(names) == 4 else ", ".join(names[1:])


def _one_hot(x: Array, wide: Array, t: int) -> Array:
    hot = np.zeros((x.shape[1], wide.shape[1]), wide.dtype)
    hot[np.arange(len(hot)), x[t]] = 1
    return hot


def _lock(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _locked(arrays: Arrays) -> dict[str, Array]:
    return {name: _lock(array) for name, array in arrays.items()}
