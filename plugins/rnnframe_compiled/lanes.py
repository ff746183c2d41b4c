"""Vectors of the processor's own width as values: a formula on lanes becomes machine code that numba can call.

A formula is written once, as in the papers, on `Lanes` that overload the arithmetic operators; `lanewise` makes an
intrinsic of it which loads its arguments from memory, computes, and stores its results. Nothing depends on a compiler
finding out that a loop can be vectorised, and every multiplication that is added to something is written as a fused
one, so that the bits of a result do not depend on where the formula stands.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from rnnframe_compiled.processor import X86, has

BYTES = 64 if has("avx512f") else 32 if has("avx") else 16
"""Bytes of a vector register here: AVX-512, AVX, or the 16 bytes that every other processor has."""
REGISTERS = 16 if X86 and BYTES < 64 else 32
"""Vector registers here."""
INT32, INT64 = ir.IntType(32), ir.IntType(64)
BFLOAT16 = types.uint16
"""The type of a unit for arrays of float32 whose products are of bfloat16: see `pairs`.

numba has no such type, and one of its size stands for it.
"""
_SCALARS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), BFLOAT16: ir.FloatType()}


def bytes_in(dtype: Any) -> int:
    """Return the bytes of a value in arrays of a numba type."""
    return 8 if dtype == types.float64 else 4


def lanes_of(dtype: Any) -> int:
    """Return how many values of a numba type (float32, float64, BFLOAT16) stand in one vector."""
    return int(BYTES // bytes_in(dtype))


def vector_type(dtype: Any) -> Any:
    """Return the LLVM type of a vector of a numba type."""
    return ir.VectorType(_SCALARS[dtype], lanes_of(dtype))


def address(builder: Any, dtype: Any, base: Any, offset: Any = None) -> Any:
    """Return a pointer to the value `offset` places behind the address `base`."""
    pointer = builder.inttoptr(base, _SCALARS[dtype].as_pointer())
    return pointer if offset is None else builder.gep(pointer, [offset])


def load(builder: Any, pointer: Any, vector: Any, mask: Any = None) -> Any:
    """Load a vector, or those of its lanes that are in the mask (the others are zero)."""
    place = builder.bitcast(pointer, vector.as_pointer())
    if mask is None:
        return builder.load(place, align=vector.element.get_abi_alignment(_TARGET))
    name, align = f"llvm.masked.load.{_suffix(vector)}.p0", INT32(vector.element.get_abi_alignment(_TARGET))
    function = declared(builder, name, vector, place.type, INT32, mask.type, vector)
    return builder.call(function, [place, align, mask, ir.Constant(vector, None)])


def store(builder: Any, value: Any, pointer: Any, mask: Any = None) -> None:
    """Store a vector, or those of its lanes that are in the mask."""
    vector = value.type
    place = builder.bitcast(pointer, vector.as_pointer())
    if mask is None:
        builder.store(value, place, align=vector.element.get_abi_alignment(_TARGET))
        return
    name, align = f"llvm.masked.store.{_suffix(vector)}.p0", INT32(vector.element.get_abi_alignment(_TARGET))
    function = declared(builder, name, ir.VoidType(), vector, place.type, INT32, mask.type)
    builder.call(function, [value, place, align, mask])


def first_lanes(builder: Any, count: Any, vector: Any) -> Any:
    """Return the mask of the first `count` lanes."""
    numbers = ir.Constant(ir.VectorType(INT32, vector.count), list(range(vector.count)))
    return builder.icmp_signed("<", numbers, splat(builder, builder.trunc(count, INT32), vector.count))


def splat(builder: Any, value: Any, count: int) -> Any:
    """Return a vector with the same value in every lane."""
    undefined = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    one = builder.insert_element(undefined, value, INT32(0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(INT32, count), [0] * count))


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a · b + c, rounded once."""
    return builder.call(declared(builder, f"llvm.fma.{_suffix(a.type)}", a.type, *[a.type] * 3), [a, b, c])


def unpacked(builder: Any, values: Any) -> list[Any]:
    """Return the members of a tuple that an intrinsic was given."""
    return [
        builder.extract_value(values, n)
        for n in range(len(values.type.elements) if hasattr(values.type, "elements") else values.type.count)
    ]


_TARGET = llvm.create_target_data("")


def _suffix(vector: Any) -> str:
    return f"v{vector.count}f{32 if isinstance(vector.element, ir.FloatType) else 64}"


def declared(builder: Any, name: str, returned: Any, *arguments: Any) -> Any:
    """Declare a function of LLVM."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(returned, arguments), name)


class Lanes:
    """A vector in a formula: + - · / with other lanes and with numbers."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    @property
    def single(self) -> bool:
        """Whether the lanes hold float32, not float64."""
        return isinstance(self.value.type.element, ir.FloatType)

    def number(self, number: float) -> "Lanes":
        """Return a vector with this number in every lane."""
        return Lanes(self.builder, ir.Constant(self.value.type, [float(number)] * self.value.type.count))

    def _lanes(self, other: "Lanes | float") -> "Lanes":
        return other if isinstance(other, Lanes) else self.number(other)

    def __add__(self, other: "Lanes | float") -> "Lanes":
        return Lanes(self.builder, self.builder.fadd(self.value, self._lanes(other).value))

    def __sub__(self, other: "Lanes | float") -> "Lanes":
        return Lanes(self.builder, self.builder.fsub(self.value, self._lanes(other).value))

    def __rsub__(self, other: float) -> "Lanes":
        return self.number(other) - self

    def __mul__(self, other: "Lanes | float") -> "Lanes":
        return Lanes(self.builder, self.builder.fmul(self.value, self._lanes(other).value))

    def __truediv__(self, other: "Lanes | float") -> "Lanes":
        return Lanes(self.builder, self.builder.fdiv(self.value, self._lanes(other).value))

    __radd__, __rmul__ = __add__, __mul__

    def fma(self, factor: "Lanes | float", term: "Lanes | float") -> "Lanes":
        """Return self · factor + term, rounded once."""
        factor, term = self._lanes(factor), self._lanes(term)
        return Lanes(self.builder, fused(self.builder, self.value, factor.value, term.value))

    def root(self) -> "Lanes":
        """Return the square root of what is not negative, rounded once."""
        function = declared(self.builder, f"llvm.sqrt.{_suffix(self.value.type)}", self.value.type, self.value.type)
        return Lanes(self.builder, self.builder.call(function, [self.value]))

    def at_most(self, bound: float) -> "Lanes":
        """Return the smaller of each lane and a bound; what is no number stays so."""
        return self._where("<", self.number(bound), self.number(bound), self)

    def at_least(self, bound: float) -> "Lanes":
        """Return the larger of each lane and a bound; what is no number stays so."""
        return self._where(">", self.number(bound), self.number(bound), self)

    def or_larger(self, other: "Lanes") -> "Lanes":
        """Return the larger of each two lanes, this one's where the other's is no number."""
        return other._where("<", self, other, self)

    def above_zero(self) -> "Lanes":
        """Return 1 where a lane is above zero, else 0."""
        return self.if_positive(self.number(1), self.number(0))

    def if_positive(self, then: "Lanes", otherwise: "Lanes") -> "Lanes":
        """Return `then` where a lane is above zero, else `otherwise`."""
        return self._where("<", self.number(0), then, otherwise)

    def _where(self, relation: str, left: "Lanes", then: "Lanes", otherwise: "Lanes") -> "Lanes":
        """Return `then` where `left` stands in the relation to the lane, else `otherwise`."""
        chosen = self.builder.fcmp_ordered(relation, left.value, self.value)
        return Lanes(self.builder, self.builder.select(chosen, then.value, otherwise.value))

    def bits(self, function: Callable[..., Any], *others: "Lanes") -> "Lanes":
        """Return what `function(builder, bits, ...)` makes of the lanes as integers, these and others."""
        integers = ir.VectorType(INT32 if self.single else INT64, self.value.type.count)
        given = [self.builder.bitcast(lanes.value, integers) for lanes in (self, *others)]
        return Lanes(self.builder, self.builder.bitcast(function(self.builder, *given), self.value.type))


@intrinsic
def bytes_of(typingctx: Any, unit: Any) -> Any:
    """Return the bytes of one value in arrays of the type of `unit`."""

    def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        return INT64(bytes_in(unit))

    return types.intp(unit), emit


@njit(nogil=True, cache=True)
def address_of(array: Any) -> Any:
    """Return the address of an array's first value, as a signed number: numba adds no unsigned to a signed one."""
    return np.intp(array.ctypes.data)


def lanewise(formula: Callable[..., Any]) -> Any:
    """Make an intrinsic of a formula on lanes that returns lanes, or a tuple of them.

    It is called in numba code as `f(unit, n, (arguments), (results))`: `unit` is a number of the type to compute in,
    `n` how many lanes of the vectors count, and the rest are the addresses to load from and to store to.
    """

    def made(typingctx: Any, unit: Any, n: Any, arguments: Any, results: Any) -> Any:
        def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
            vector = vector_type(unit)
            given = [address(builder, unit, place) for place in unpacked(builder, values[2])]
            wanted = [address(builder, unit, place) for place in unpacked(builder, values[3])]

            def compute(mask: Any) -> None:
                made = formula(*[Lanes(builder, load(builder, place, vector, mask)) for place in given])
                for lanes, place in zip(made if isinstance(made, tuple) else (made,), wanted, strict=True):
                    store(builder, lanes.value, place, mask)

            whole = builder.icmp_signed(">=", values[1], INT64(vector.count))
            with builder.if_else(whole, likely=True) as (then, otherwise):
                with then:
                    compute(None)
                with otherwise:
                    compute(first_lanes(builder, values[1], vector))
            return ir.Constant(INT64, 0)

        return types.intp(unit, types.intp, arguments, results), emit

    made.__name__, made.__doc__, made.__module__ = formula.__name__, formula.__doc__, formula.__module__
    return intrinsic(made)


LINE = 64
"""Bytes that are joined to one value: a line of memory, of as many vectors as that takes."""


def folded(formula: Callable[..., Any], join: Callable[[Lanes, Lanes], Lanes], empty: float) -> Any:
    """Make an intrinsic of a formula whose first result is joined to one value, over a line of memory.

    It is called in numba code as `f(unit, n, (arguments), (numbers), (results))` and returns the value: as one of
    `lanewise` for LINE bytes, but that the formula also takes numbers, each in every lane. `empty` stands for lanes
    that do not count. Halves are joined to halves: with vectors of any width the result is the same.
    """

    def made(typingctx: Any, unit: Any, n: Any, arguments: Any, numbers: Any, results: Any) -> Any:
        def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
            vector = vector_type(unit)
            size = vector.count
            given, wanted = unpacked(builder, values[2]), unpacked(builder, values[4])
            spread = [Lanes(builder, splat(builder, number, size)) for number in unpacked(builder, values[3])]

            def compute(count: Any) -> Any:
                found = []
                for k in range(LINE // BYTES):
                    offset = INT64(k * size)
                    mask = None if count is None else first_lanes(builder, builder.sub(count, offset), vector)
                    lanes = [load(builder, address(builder, unit, place, offset), vector, mask) for place in given]
                    first, *others = formula(*[Lanes(builder, value) for value in lanes], *spread)
                    for made, place in zip(others, wanted, strict=True):
                        store(builder, made.value, address(builder, unit, place, offset), mask)
                    if mask is not None:
                        first = Lanes(builder, builder.select(mask, first.value, first.number(empty).value))
                    found.append(first)
                return join_lanes(builder, found, join), builder.block

            whole = builder.icmp_signed(">=", values[1], INT64(LINE // BYTES * size))
            with builder.if_else(whole, likely=True) as (then, otherwise):
                with then:
                    of_all, after_all = compute(None)
                with otherwise:
                    of_some, after_some = compute(values[1])
            result = builder.phi(of_all.type)
            result.add_incoming(of_all, after_all)
            result.add_incoming(of_some, after_some)
            return result

        return unit(unit, types.intp, arguments, numbers, results), emit

    made.__name__, made.__doc__, made.__module__ = formula.__name__, formula.__doc__, formula.__module__
    return intrinsic(made)


def join_lanes(builder: Any, parts: list[Lanes], join: Callable[[Lanes, Lanes], Lanes]) -> Any:
    """Return the one value that all lanes of these vectors are joined to, halves to halves."""
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [join(a, b) for a, b in zip(parts[:half], parts[half:], strict=True)]
    lanes = parts[0].value
    while lanes.type.count > 1:
        half = lanes.type.count // 2
        places = [ir.Constant(ir.VectorType(INT32, half), list(range(k, k + half))) for k in (0, half)]
        undefined = ir.Constant(lanes.type, ir.Undefined)
        lanes = join(*[Lanes(builder, builder.shuffle_vector(lanes, undefined, k)) for k in places]).value
    return builder.extract_element(lanes, INT32(0))
