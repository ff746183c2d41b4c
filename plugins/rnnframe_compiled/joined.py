"""Which parts of a stream's step run in one compiled call, and the table that tells it where everything is."""

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from rnnframe.plugin import AdvanceStep, Array, InputStep, LayerStep, PredictionStep, ReadoutStep, StepPart
from rnnframe_compiled import steps
from rnnframe_compiled.heads import CompiledAffine, CompiledSoftmax
from rnnframe_compiled.interrupts import made_whole
from rnnframe_compiled.place import place
from rnnframe_compiled.softmax import probabilities
from rnnframe_compiled.steps import FIELDS, address_of_step, code_of_run
from rnnframe_compiled.twins import Twin

STEPS = {
    "CompiledLSTM": steps.lstm_step,
    "CompiledGeneralLSTM": steps.general_lstm_step,
    "CompiledGRU": steps.gru_after_step,
    "CompiledNormedGRU": steps.gru_normed_step,
    "CompiledResetBefore": steps.gru_before_step,
    "CompiledElman": steps.elman_step,
    "CompiledIndRNN": steps.independent_step,
    "CompiledLRU": steps.lru_step,
    "CompiledMinGRU": steps.linear_step,
    "CompiledMinLSTM": steps.linear_step,
    "CompiledRGLRU": steps.gated_linear_step,
    "CompiledLinearAttention": steps.attention_step,
    "CompiledSelectiveSSM": steps.selective_step,
    "CompiledPeepholeLSTM": steps.peephole_step,
    "CompiledSLSTM": steps.slstm_step,
}
"""What runs one step of a twin, by the name of its class."""
_NO_NUMBERS = np.zeros(1, np.int64)


def joined(parts: Sequence[StepPart]) -> Callable[[], object] | None:
    """Return a function that runs all parts in one call; None where one of them is not compiled."""
    rows = []
    for part in parts:
        of_part = _rows(part)
        if of_part is None:
            return None
        rows += of_part
    table = np.zeros((len(rows), FIELDS), np.int64)
    dtype = next(filter(None, map(_dtype, parts)), np.dtype(np.float32))
    with _told([step for step, *_ in rows], dtype):
        for n, (step, *fields) in enumerate(rows):
            table[n, 0] = address_of_step(step, str(dtype))
            table[n, 1 : 1 + len(fields)] = fields
        unit = dtype.type(1)
        return functools.partial(code_of_run(unit, table), unit, table)


@contextmanager
def _told(needed: Sequence[Callable[..., int]], dtype: np.dtype[Any], *, quietly: bool = False) -> Iterator[None]:
    """Say on stderr that steps are compiled, where that was not done before, and keep it on record."""
    found = place()
    notes = [found.note(f"{step.__name__}-{dtype}") for step in needed] if found is not None else []
    missing = not all(note.exists() for note in notes)
    if missing and not quietly:
        print(f"rnnframe: compiling single steps for {dtype}, once on this machine ...", file=sys.stderr, flush=True)
    yield
    if missing:
        with suppress(OSError):  # a full disk: the next process compiles again
            for note in notes:
                note.touch()


def _dtype(part: StepPart) -> np.dtype[Any] | None:
    """Return what a part computes in; None where it does not compute."""
    if isinstance(part, InputStep):
        return None if part.looked_up else np.dtype(part.x.dtype)
    if isinstance(part, LayerStep):
        return np.dtype(part.block.tape[part.layer.output].dtype)
    return np.dtype((part.states[0][0] if isinstance(part, AdvanceStep) else part.outputs).dtype)


def _rows(part: StepPart) -> list[tuple[Any, ...]] | None:
    """Return the rows of a part: a function of `rnnframe_compiled.steps`, and the fields behind its address."""
    if isinstance(part, LayerStep):
        return _layer(part)
    if isinstance(part, InputStep):
        step = steps.known_step if part.looked_up else steps.finite_step
        return [(step, part.x.size, _at(part.x), part.count)]
    if isinstance(part, AdvanceStep):
        return [(steps.move_step, after.size, _at(after), _at(before)) for before, after in part.states]
    rows = part.outputs.shape[0] * part.outputs.shape[1]
    if isinstance(part, PredictionStep):
        compiled = isinstance(part.loss, CompiledSoftmax)
        return [(steps.softmax_step, rows, part.outputs.shape[2], _at(part.outputs))] if compiled else None
    if not isinstance(part, ReadoutStep) or not isinstance(part.readout, CompiledAffine):
        return None
    if part.readout.precision is not None:
        return None
    H, width, weights = part.h.shape[2], part.outputs.shape[2], part.weights
    places = _at(part.h), _at(weights["PV"]), _at(weights["c"]), _at(part.outputs)
    return [(steps.readout_step, rows, H, width, *places)]


def _layer(part: LayerStep) -> list[tuple[Any, ...]] | None:
    """Return the row of a twin's step; None for other layers, pairs, and inputs too wide to be packed."""
    layer, block = part.layer, part.block
    if not isinstance(layer, Twin) or layer.precision is not None:
        return None
    lookup, U = block.x.dtype.kind in "iu", block.weights[layer.matrix]
    if not lookup and not block.weights["PU"].size:
        return None
    x, numbers, count = (0, _at(block.x), block.x.size) if lookup else (_at(block.x), _at(_NO_NUMBERS), 0)
    width = 0 if lookup else block.inputs
    fields = [block.batch, width, layer.width(block.inputs), layer.kind, x, numbers, count, _at(U), len(U)]
    return [(STEPS[type(layer).__name__], *fields, *_arrays(layer, part))]


def _arrays(layer: Twin, part: LayerStep) -> Iterator[int]:
    """Yield the addresses of the arrays that a twin's step names, and last the length of its working array."""
    weights, tape, scratch = layer.step_arrays
    block = part.block
    for arrays, names in ((block.weights, weights), (block.tape, tape), (block.scratch, scratch)):
        yield from (_at(arrays[name]) for name in names)
    yield from (block.scratch[name].size for name in scratch)


def _at(array: Array) -> int:
    if not array.flags.c_contiguous:
        raise ValueError(f"an array of a step has the shape {array.shape} and is not contiguous")
    return int(array.ctypes.data)


def warm_up_step(name: str, dtype: np.dtype[Any]) -> None:
    """Make the code ready of a step of twins of a class, or of a head, and of what goes around it."""
    own = (STEPS[name],) if name in STEPS else (steps.readout_step, steps.softmax_step)
    needed = (*own, steps.finite_step, steps.known_step, steps.move_step)
    with _told(needed, dtype, quietly=True):
        if name not in STEPS:
            with made_whole():
                probabilities(dtype.type(1), np.zeros((1, 2), dtype))
        for step in needed:
            with made_whole():
                address_of_step(step, str(dtype))
        with made_whole():
            code_of_run(dtype.type(1), np.zeros((0, FIELDS), np.int64))
