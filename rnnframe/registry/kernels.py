"""Choosing kernels: from a name such as "auto" to what computes the layers of a network here."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Generic, TypeVar

import attrs
import numpy as np

from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import AUTO, BFLOAT16, BOTH, NUMPY, Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.errors import OptionError, UsageError, unknown_name
from rnnframe.registry.registry import Registry
from rnnframe.registry.specs import LAYERS, is_made_of_layers, required_options

M = TypeVar("M")


def kernels_used(kernels: Sequence[str], precision: str | None = None) -> str:
    """Return in a word what computes the layers of a network: one name if it is the same for all, else one a layer.

    A precision that is not that of the dtype stands behind.
    """
    names = ", ".join(kernels if len(set(kernels)) > 1 else kernels[:1])
    return names if precision is None else f"{names} ({precision})"


def choose(given: str | Kernels, registry: Registry) -> tuple[Kernels, ...]:
    """Return the kernels that a name stands for, the preferred ones first; none for numpy alone.

    "auto" is what RNNFRAME_KERNELS names, or all that can be used here; "a+b" is those of a, and those of b where a has
    no twin. Raises `OptionError` for named ones that cannot be used.
    """
    if isinstance(given, Kernels):
        return (_usable(given),)
    if not isinstance(given, str):
        raise UsageError(f"kernels are a name such as 'auto' or a Kernels, not {given!r}")
    if given == AUTO and os.environ.get("RNNFRAME_KERNELS", AUTO) not in ("", AUTO):
        return choose(os.environ["RNNFRAME_KERNELS"], registry)
    if given == AUTO:
        return tuple(_all_usable(registry))
    chosen: list[Kernels] = []
    for spec in filter(None, (part.strip() for part in given.split(BOTH) if part.strip() != NUMPY)):
        known = registry.names("kernels")
        if spec.partition(":")[0] not in known:
            raise unknown_name("kernels", spec, [AUTO, NUMPY, *known])
        chosen.append(_usable(registry.kernels(spec)))
    return tuple(chosen)


def _usable(kernels: Kernels) -> Kernels:
    reason = kernels.missing()
    if reason:
        raise OptionError(f"kernels={kernels.name!r}: {reason}")
    return kernels


def _all_usable(registry: Registry) -> Iterator[Kernels]:
    """Yield what can be used here, the best first; kernels that fail are left out and told."""
    classes = [registry.find("kernels", name) for name in registry.names("kernels")]
    for cls in sorted(classes, key=lambda cls: (-cls.rank, registry.is_built_in(cls), cls.name)):
        if required_options(cls):
            continue
        try:
            kernels: Kernels = cls()
            if not kernels.missing():
                yield kernels
        except Exception as error:
            registry.leave_out("kernels", cls, error)


def _missing_here(registry: Registry) -> Iterator[str]:
    """Yield which kernels cannot be used here, and why, as what to install."""
    for name in registry.names("kernels"):
        if not required_options(registry.find("kernels", name)) and (reason := registry.kernels(name).missing()):
            yield f"kernels {name}: {reason}"


def check_precision(precision: str | None, dtype: np.dtype[Any]) -> str | None:
    """Return the precision of a network's products; raises `OptionError` for one that networks of a dtype lack."""
    if precision not in (None, BFLOAT16):
        raise OptionError(f"precision={precision!r} is unknown; expected {BFLOAT16!r}, or None for that of the dtype")
    if precision is not None and dtype != np.float32:
        raise OptionError(
            f"precision={precision!r} needs a network of dtype float32, not {dtype}; leave one of them out"
        )
    return precision


def in_precision(model: M, precision: str | None) -> M:
    """Return a model whose products have a precision, None for its own; raises `OptionError` where it cannot."""
    if precision is None:
        return model
    if not hasattr(model, "in_precision"):
        raise OptionError(f"precision={precision!r}: {type(model).__name__} has no precisions; leave it out")
    found: M = model.in_precision(precision)
    return found


P = TypeVar("P", Layer, Head)


@attrs.frozen
class Prepared:
    """A twin to be made ready: what it computes, in a word, and the kernels that it is of."""

    kernels: Kernels
    twin: Layer | Head
    what: str


@attrs.frozen
class Computed(Generic[P]):
    """A layer or a head as it is computed.

    Parameters
    ----------
    part : Layer or Head
        The twin, or the part itself, perhaps with twins in its brackets.
    name : str
        The name of the kernels, as in "compiled" or "numpy"; of a layer made of layers for which they differ, one for
        each, as in "residual(numpy compiled)".
    twins : tuple of Prepared
        The twins that compute it or a layer in it; none for numpy.
    """

    part: P
    name: str = NUMPY
    twins: tuple[Prepared, ...] = ()


def made_by(
    kernels: Sequence[Kernels], part: P, dtype: np.dtype[Any], registry: Registry, precision: str | None = None
) -> Computed[P]:
    """Return the twin of a layer or a head that the first kernels have, to be made ready; else the part itself.

    Layers in the brackets of a layer without a twin are replaced by theirs. Raises `OptionError` where something
    multiplies matrices on numpy and the precision is not that of the dtype.
    """
    for each in kernels:
        with registry.blame("kernels", type(each)):
            if precision is not None:
                twin = each.twin_in(part, dtype, precision)
            else:
                twin = each.head(part, dtype) if isinstance(part, Head) else each.twin(part, dtype)
            if twin is None:
                continue
            if not isinstance(twin, Head if isinstance(part, Head) else Layer):
                raise TypeError(f"the twin of {part.name!r} is {twin!r}; expected a rnnframe.plugin.Layer or None")
        what = "heads" if isinstance(part, Head) else part.name
        return Computed(twin, each.name, (Prepared(each, twin, what),))
    if precision is not None and (isinstance(part, Head) or part.multiplies):
        what = f"the readout {part.readout.name!r}" if isinstance(part, Head) else f"the layer {part.name!r}"
        tried = BOTH.join(each.name for each in kernels) or NUMPY
        rest = "; ".join([*_missing_here(registry), "take others, or leave it out"])
        raise OptionError(f"precision={precision!r}: kernels {tried} have no such products for {what}; {rest}")
    if isinstance(part, Head) or not is_made_of_layers(type(part)):
        return Computed(part)
    return _with_twins_inside(
        part, [made_by(kernels, each, dtype, registry, precision) for each in getattr(part, LAYERS)], registry
    )


def _with_twins_inside(part: Layer, computed: Sequence[Computed[Layer]], registry: Registry) -> Computed[Any]:
    """Return a layer made of layers with these in its brackets."""
    used = tuple(each for one in computed for each in one.twins)
    if not used:
        return Computed(part)
    with registry.blame("cell", type(part)):
        made = attrs.evolve(part, **{LAYERS: tuple(each.part for each in computed)})
    names = [each.name for each in computed]
    name = names[0] if len(set(names)) == 1 else f"{part.name}({' '.join(names)})"
    return Computed(made, name, used)


def make_ready(
    twins: Sequence[Prepared], dtype: np.dtype[Any], registry: Registry, precision: str | None = None
) -> None:
    """Have twins prepared; where that takes a while, say so on stderr before, and the seconds after."""
    for kernels in dict.fromkeys(each.kernels for each in twins):
        mine = [each for each in twins if each.kernels == kernels]
        with registry.blame("kernels", type(kernels)):
            slow = dict.fromkeys(each.what for each in mine if not kernels.is_ready(each.twin, dtype))
            with _told(kernels, ", ".join(slow), precision or str(dtype)) if slow else nullcontext():
                kernels.prepare_all([each.twin for each in mine], dtype)


@contextmanager
def _told(kernels: Kernels, what: str, dtype: str) -> Iterator[None]:
    """Say on stderr what is compiled, how long that took, and where the code is kept."""
    print(f"rnnframe: compiling {what} for {dtype}, once on this machine ...", file=sys.stderr, flush=True)
    begun = time.perf_counter()
    yield
    place = kernels.place()
    fate = f"the code is kept in {place}" if place else "the code is not kept: no folder for it can be written to"
    print(f"rnnframe: compiled in {time.perf_counter() - begun:.1f} s; {fate}", file=sys.stderr, flush=True)
