"""Run as a program: hand arrays of every dtype, order, stride and kind to an engine, on random shapes.

    python inputs.py SEED COUNT SECONDS

What is taken must give, bit for bit, what a plain copy in the network's own type gives, and stay as it was; what is
not taken must be refused with one line of the project's errors. Prints how many were tried and taken, and what failed.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import rnnframe as rf
from rnnframe.errors import RnnframeError

DTYPES = ("f2", "f4", "f8", ">f4", ">f8", "g", "i1", "i2", "i8", ">i4", "u1", "u8", "?", "c8", "O", "U3", "M8[s]", "V8")


def padded(a: np.ndarray) -> np.ndarray:
    wide = np.zeros((a.shape[0] * 2, *a.shape[1:]), a.dtype)
    wide[::2] = a
    return wide[::2]


def unaligned(a: np.ndarray) -> np.ndarray:
    if a.dtype.hasobject:
        return a
    raw = np.zeros(a.nbytes + 1, "u1")
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


class Subclass(np.ndarray):
    """Arrays of other libraries often derive from numpy's."""


FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": padded,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "unaligned": unaligned,
    "read-only": read_only,
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "subclass": lambda a: a.view(Subclass),
    "list": lambda a: a.tolist(),
    "masked": np.ma.masked_array,
    "zero-size": lambda a: a[:0],
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "one dimension more": lambda a: a[..., None],
    "one dimension less": lambda a: a[0],
    "memory view": lambda a: memoryview(np.ascontiguousarray(a)) if a.dtype.kind in "fiu" else a,
    "none": lambda a: None,
}
VALUES = ("usual", "denormal", "huge", "infinite", "NaN", "negative", "zero")


def values(rng: np.random.Generator, shape: tuple[int, ...], kind: str, dtype: str) -> np.ndarray:
    a = rng.standard_normal(shape)
    if kind == "denormal":
        a *= 1e-40
    elif kind == "huge":
        a *= 1e38
    elif kind in ("infinite", "NaN"):
        a.flat[rng.integers(a.size)] = np.inf if kind == "infinite" else np.nan
    elif kind == "negative":
        a = -abs(a) * 5
    elif kind == "zero":
        a *= 0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if dtype.startswith(("M", "V")):
            return np.zeros(shape, dtype)
        return a.astype(dtype)


def bits(found: Any) -> bytes:
    if isinstance(found, rf.Result):
        return repr(found.loss).encode() + found.gradients.flat.tobytes() + found.state.flat.tobytes()
    return b"".join(np.ascontiguousarray(a).tobytes() for a in found)


def ways(network: rf.Network, engine: rf.Engine) -> dict[str, Callable[[Any, Any], Any]]:
    def stream(x: Any, _: Any) -> Any:
        if x is None or np.ndim(x) < 2 or not len(x):
            return network.stream(1, "numpy").step(x)
        running = network.stream(np.shape(x)[1], "numpy")
        return [np.array(running.step(step)) for step in (np.asarray(x) if isinstance(x, memoryview) else x)]

    return {
        "gradients": engine.gradients,
        "predict": lambda x, _: [(found := engine.predict(x))[0], found[1].flat],
        "stream": stream,
    }


def same_as_plain(way: Callable[[Any, Any], Any], given: tuple[Any, Any], dtype: str, found: Any) -> bool:
    with np.errstate(all="ignore"):
        plain = [np.array(a, "i8" if np.asarray(a).dtype.kind in "iu" and np.ndim(a) == 2 else dtype) for a in given]
    return bits(way(*plain)) == bits(found)


def attack(seed: int, count: int, seconds: float) -> dict[str, Any]:
    rng, failed, taken, tried = np.random.default_rng(seed), [], 0, 0
    ends = time.monotonic() + seconds
    networks = {}
    for dtype in ("float32", "float64"):
        for kernels in ("numpy", "auto"):
            network = rf.Network(["lstm:hidden=5", "elman:hidden=4"], "mse:outputs=2", 3, dtype=dtype)
            engine = rf.Engine(network, "checkpoint:slots=2", chunk=2, shards=1, kernels=kernels)
            networks[dtype, kernels] = ways(network, engine)
    keys = list(networks)
    while tried < count and time.monotonic() < ends:
        tried += 1
        dtype, kernels = keys[rng.integers(len(keys))]
        way = list(networks[dtype, kernels])[rng.integers(3)]
        form, kind = list(FORMS)[rng.integers(len(FORMS))], VALUES[rng.integers(len(VALUES))]
        steps, batch = int(rng.integers(1, 9)), int(rng.integers(1, 6))
        given = [
            values(rng, (steps, batch, width), kind if n == 0 else "usual", DTYPES[rng.integers(len(DTYPES))])
            for n, width in enumerate((3, 2))
        ]
        hostile = int(rng.integers(2)) if way == "gradients" else 0
        story = f"{tried}: {way} {dtype} {kernels}, {form} of {given[hostile].dtype}, {kind}"
        if not hostile:
            given[1] = given[1].real.astype("f4") if given[1].dtype.kind in "fiubc" else np.zeros(given[1].shape, "f4")
        else:
            given[0] = np.nan_to_num(np.zeros(given[0].shape, "f4"))
        try:
            given[hostile] = FORMS[form](given[hostile])
        except (TypeError, ValueError):
            continue  # numpy has no such array
        before = repr(given[hostile]) if form != "memory view" else ""
        try:
            found = networks[dtype, kernels][way](*given)
        except RnnframeError as error:
            if "\n" in str(error) or len(str(error)) > 400:
                failed.append(f"{story}: {error}")
            continue
        except BaseException as error:
            failed.append(f"{story}: {error!r}")
            continue
        taken += 1
        if np.asarray(given[hostile]).dtype.kind not in "fiub":
            failed.append(f"{story}: taken, though it holds no real numbers")
        elif form == "none" or (before and repr(given[hostile]) != before):
            failed.append(f"{story}: taken, or changed")
        elif not same_as_plain(networks[dtype, kernels][way], tuple(given), dtype, found):
            failed.append(f"{story}: other bits than a plain copy")
    return {"tried": tried, "taken": taken, "failed": failed}


if __name__ == "__main__":
    print(json.dumps(attack(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
