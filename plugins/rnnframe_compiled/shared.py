"""Functions whose machine code all kernels share, in place of a copy in each.

What a kernel is made of is compiled with it, once more for every kernel: see `making`. For products of matrices, which
most kernels need, that would take half of the time of a first training. So these are compiled by themselves. Kernels
call them by a name that LLVM looks up when a kernel is made or loaded; they have to be there before, and `making` sees
to that.
"""

import functools
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from rnnframe_compiled.cache_files import guard_files
from rnnframe_compiled.place import kept


class Shared:
    """A function of a unit and of whole numbers, which returns a whole number."""

    def __init__(self, function: Callable[..., int]) -> None:
        self._function, self._made = function, dict[Any, CFunc]()

    def symbol(self, unit: Any) -> str:
        """Return the name of its code for a type of unit."""
        return f"rnnframe_{self._function.__name__}_{unit}"

    def make_ready(self, unit: Any) -> None:
        """Compile the code for a type of unit, or load it."""
        if unit in self._made:
            return
        make_shared_ready(self._function, unit)
        with global_compiler_lock:  # numba's own, which a thread may hold that comes here
            if unit in self._made:
                return
            numbers = self._function.__code__.co_argcount - 1
            with kept():
                made = CFunc(self._function, ((unit, *[types.intp] * numbers), types.intp), {}, {"nopython": True})
                made.enable_caching()
            guard_files(made)
            made.compile()
            binding.add_symbol(self.symbol(unit), made.address)
            self._made[unit] = made  # the code lasts as long as this object


def shared(function: Callable[..., int]) -> Any:
    """Return what code calls in place of a function, with a unit and a tuple of numbers; the machine code is shared."""
    code = Shared(function)

    @intrinsic
    def call(typingctx: Any, unit: Any, numbers: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            given = [values[0], *cgutils.unpack_tuple(builder, values[1])]
            kind = ir.FunctionType(context.get_value_type(signature.return_type), [value.type for value in given])
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, code.symbol(unit)), given)

        return types.intp(unit, types.UniTuple(types.intp, len(numbers))), emit

    call.shared = code
    return call


@functools.cache
def needed_by(function: Any) -> tuple[Shared, ...]:
    """Return the shared functions that a function calls, itself or in what it calls."""
    found = dict[Shared, None]()
    for value in _named_in(function):
        if isinstance(code := getattr(value, "shared", None), Shared):
            found[code] = None
        elif isinstance(called := getattr(value, "py_func", None), FunctionType):
            found.update(dict.fromkeys(needed_by(called)))
    return tuple(found)


def _named_in(function: Any) -> Iterator[Any]:
    """Yield what the names in a function's code mean, of its own module or of those that it names."""
    names = function.__code__.co_names
    values = [function.__globals__[name] for name in names if name in function.__globals__]
    yield from values
    for module in values:
        if isinstance(module, ModuleType):
            yield from (getattr(module, name) for name in names if hasattr(module, name))


def make_shared_ready(function: Any, unit: Any) -> None:
    """Make ready all shared functions that a function needs, for a type of unit."""
    for code in needed_by(function):
        code.make_ready(unit)
