"""How numba makes machine code of a function: of a `kernel`, which Python calls, with the `part`s that it is made of.

numba by itself optimises every function that is called by another one, makes machine code of it and keeps that on the
disk, and then all of it once more for each caller. A part has no code of its own: it is handed to what calls it as it
is written, and all is optimised there once.

Parts are made with the inside of numba, which its versions change, and so of those versions alone that this was tried
with; of others a part is an ordinary function, and all is compiled as numba does it, in twice the time.
"""

from typing import Any

import numba
from numba import njit

TRIED = "0.68."
"""The versions of numba that parts were tried with begin so."""


def _maker_of_parts() -> Any:
    if not numba.__version__.startswith(TRIED):
        return njit(nogil=True, cache=True)
    from rnnframe_compiled.parts import PartCompiler

    return njit(nogil=True, pipeline_class=PartCompiler)


kernel, part = njit(nogil=True, cache=True, no_cfunc_wrapper=True), _maker_of_parts()
