"""How numba makes machine code of a function: of a `kernel`, which Python calls, with the `part`s that it is made of.

numba by itself optimises every function that is called by another one, makes machine code of it and keeps that on the
disk, and then all of it once more for each caller. A part has no code of its own: it is handed to what calls it as it
is written, and all is optimised there once.

Parts are made with the inside of numba, which its versions change, and so of those versions alone that this was tried
with; of others a part is an ordinary function, and all is compiled as numba does it, in twice the time.
"""

from collections.abc import Callable
from typing import Any

import numba
from numba import njit

from rnnframe_compiled.shared import make_shared_ready

TRIED = "0.68."
"""The versions of numba that parts were tried with begin so."""


def _maker_of_parts() -> Any:
    if not numba.__version__.startswith(TRIED):
        return njit(nogil=True, cache=True)
    from rnnframe_compiled.parts import PartCompiler

    return njit(nogil=True, pipeline_class=PartCompiler)


def kernel(function: Callable[..., Any]) -> Any:
    """Return a kernel; before it is compiled or loaded, what it shares with others is made ready."""
    made = njit(nogil=True, cache=True, no_cfunc_wrapper=True)(function)
    compile_alone = made.compile

    def compile_it(signature: Any) -> Any:
        make_shared_ready(made.py_func, signature[0])
        return compile_alone(signature)

    made.compile = compile_it
    return made


part = _maker_of_parts()
