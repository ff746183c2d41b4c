"""The reverse of one step from its formula alone, by HIPS autograd (the extra `auto`).

The author of a step writes plain numpy. While a step is followed, its arrays are `Followed`: numpy hands every
function that is called on one of them over to us (NEP 13 and NEP 18), and autograd's namesake records it.

autograd: Maclaurin, Duvenaud & Adams (2015), https://github.com/HIPS/autograd.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from rnnframe.arrays import Array, Arrays
from rnnframe.errors import UsageError

try:
    import autograd.numpy as recorded
    from autograd.core import VJPNode, add_outgrads
    from autograd.tracer import isbox, new_box, toposort
except ImportError as error:
    raise UsageError(
        f'reverse = "auto" needs autograd ({error}); install it with: pip install "rnnframe[auto]"'
    ) from None

Step: TypeAlias = Callable[[Any, Any, Any], Mapping[str, Any]]
TRACE = 0  # autograd numbers nested traces; a step is never followed inside another


def step_gradients(
    step: Step, p: Arrays, x: Array, state: Arrays, dafter: Arrays
) -> tuple[dict[str, Array], Array, dict[str, Array]]:
    """Return dL/dp, dL/dx and dL/dstate of `after = step(p, x, state)`, where `dafter` is dL/dafter by name.

    Raises `UsageError` for what autograd cannot follow: assignments into arrays, functions without a known derivative.
    """
    roots: list[tuple[Any, Array]] = []

    def follow(value: Array) -> Followed:
        roots.append((VJPNode.new_root(), value))
        return Followed(new_box(np.asarray(value), TRACE, roots[-1][0]))

    at_p = {name: follow(value) for name, value in p.items()}
    at_state = {name: follow(value) for name, value in state.items()}
    after = step(at_p, follow(x), at_state)
    total: Any = (
        0.0  # a number whose slopes are the gradients: the sum of every value times the gradient that reaches it
    )
    for name, gradient in dafter.items():
        total = total + recorded.sum(_unpack(after[name]) * gradient)
    slopes = _slopes(total)
    found = [slopes[node] if node in slopes else np.zeros_like(value) for node, value in roots]
    names, held = list(p), list(state)
    return (
        dict(zip(names, found, strict=False)),
        found[-1],
        dict(zip(held, found[len(names) :], strict=False)),
    )


def _slopes(total: Any) -> dict[Any, Array]:
    """Return d total / d root for every root that `total` depends on."""
    if not isbox(total):
        return {}
    waiting: dict[Any, Any] = {total._node: (np.ones_like(total._value), False)}
    roots = {}
    for node in toposort(total._node):
        gradient, _ = waiting.pop(node)
        if not node.parents:
            roots[node] = gradient
        for parent, part in zip(node.parents, node.vjp(gradient), strict=False):
            waiting[parent] = add_outgrads(waiting.get(parent), part)
    return roots


class Followed(NDArrayOperatorsMixin):
    """An array of a step that is being followed; numpy's functions and operators are recorded, assignments refused."""

    __slots__ = ("box",)

    def __init__(self, box: Any) -> None:
        self.box = box

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            raise UsageError(_refusal(f"np.{function.__name__}.{method}"))
        if "out" in options:
            raise UsageError(_refusal("an assignment into an array (such as z *= 2, or out=)"))
        return _record(function, inputs, options)

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        return _record(function, inputs, options)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise UsageError(_refusal("a conversion to a plain array"))

    def __getitem__(self, key: Any) -> "Followed":
        return Followed(self.box[_unpack(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        raise UsageError(_refusal("an assignment into an array (such as z[:, 0] = 1)"))

    def __len__(self) -> int:
        return len(self.box)

    def __getattr__(self, name: str) -> Any:
        """Return attributes and methods of arrays: shape, T, sum, reshape."""
        if name.startswith("__"):
            raise AttributeError(name)
        member = getattr(self.box, name)
        if not callable(member):
            return _pack(member)
        return lambda *inputs, **options: _pack(member(*_unpack(inputs), **_unpack(options)))


def _record(function: Any, inputs: Any, options: Any) -> Any:
    name = function.__name__
    namesake = getattr(recorded, name, None)
    if namesake is None or getattr(np, name, None) is not function:
        raise UsageError(_refusal(f"{getattr(function, '__module__', None) or 'numpy'}.{name}"))
    try:
        return _pack(namesake(*_unpack(inputs), **_unpack(options)))
    except NotImplementedError:  # autograd knows the function and not its reverse
        raise UsageError(_refusal(f"np.{name}")) from None


def _refusal(what: str) -> str:
    return f"an automatic reverse cannot follow {what}; write the step otherwise, or give the cell a step_backward"


def _unpack(value: Any) -> Any:
    """Return what autograd works on: boxes in place of `Followed`, in whatever they are held."""
    if isinstance(value, Followed):
        return value.box
    if isinstance(value, list | tuple):
        return type(value)(map(_unpack, value))
    if isinstance(value, dict):
        return {key: _unpack(inside) for key, inside in value.items()}
    return value


def _pack(value: Any) -> Any:
    if isbox(value):
        return [Followed(part) for part in value] if isinstance(value._value, list | tuple) else Followed(value)
    if isinstance(value, list | tuple) and any(map(isbox, value)):
        return type(value)(map(_pack, value))
    return value
