"""Choosing kernels: from a name such as "auto" to what computes the layers of a network here."""

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import AUTO, NUMPY, Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.errors import OptionError, UsageError, unknown_name
from rnnframe.registry.registry import Registry


def kernels_used(kernels: Sequence[str]) -> str:
    """Return in a word what computes the layers of a network: one name if it is the same for all, else one a layer."""
    return ", ".join(kernels if len(set(kernels)) > 1 else kernels[:1])


def make_ready(kernels: Kernels, twin: Layer | Head, what: str, dtype: np.dtype[Any]) -> None:
    """Have the twin of `what` prepared; where that takes a while, say so on stderr before, and the seconds after."""
    if kernels.is_ready(twin, dtype):
        kernels.prepare(twin, dtype)
        return
    print(f"rnnframe: compiling {what} for {dtype}, once on this machine ...", file=sys.stderr, flush=True)
    begun = time.perf_counter()
    kernels.prepare(twin, dtype)
    place = kernels.place()
    fate = f"the code is kept in {place}" if place else "the code is not kept: no folder for it can be written to"
    print(f"rnnframe: compiled in {time.perf_counter() - begun:.1f} s; {fate}", file=sys.stderr, flush=True)


def choose(given: str | Kernels, registry: Registry) -> Kernels | None:
    """Return the kernels that a name stands for, None for numpy alone.

    "auto" is what RNNFRAME_KERNELS names, or the first that can be used here. Raises `OptionError` for named ones that
    cannot.
    """
    if isinstance(given, Kernels):
        found = given
    elif not isinstance(given, str):
        raise UsageError(f"kernels are a name such as 'auto' or a Kernels, not {given!r}")
    elif given == NUMPY:
        return None
    elif given == AUTO and os.environ.get("RNNFRAME_KERNELS", AUTO) not in ("", AUTO):
        return choose(os.environ["RNNFRAME_KERNELS"], registry)
    elif given == AUTO:
        usable = (registry.kernels(name) for name in registry.names("kernels"))
        return next((kernels for kernels in usable if not kernels.missing()), None)
    elif given not in registry.names("kernels"):
        raise unknown_name("kernels", given, [AUTO, NUMPY, *registry.names("kernels")])
    else:
        found = registry.kernels(given)
    reason = found.missing()
    if reason:
        raise OptionError(f"kernels={found.name!r}: {reason}")
    return found
