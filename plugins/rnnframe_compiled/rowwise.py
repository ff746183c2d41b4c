"""Formulas that run over a whole row in one call, and add up some of their results on the way, in registers."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnnframe_compiled.lanes import (
    BYTES,
    INT64,
    LINE,
    Lanes,
    address,
    first_lanes,
    join_lanes,
    load,
    splat,
    store,
    unpacked,
    vector_type,
)


@intrinsic
def first(typingctx: Any, unit: Any, place: Any) -> Any:
    """Return the value at an address."""

    def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(address(builder, unit, values[1]))

    return unit(unit, types.intp), emit


def rowwise(sums: int, lines: int = 1) -> Callable[[Callable[..., Any]], Any]:
    """Return what makes an intrinsic of a formula whose first `sums` results are added up over a row.

    It is called in numba code as `f(unit, n, (arguments), (numbers), (results))`: as one of `lanewise`, but for a row
    of n values from each address on, and with numbers, each in every lane. It returns the sums, as a tuple; without
    any, 0. Terms are added up in so many lines of memory in turn, of which a formula of few operations needs several to
    be fast. The order of a sum depends on n alone: with vectors of any width the result is the same.
    """

    def decorate(formula: Callable[..., Any]) -> Any:
        def made(typingctx: Any, unit: Any, n: Any, arguments: Any, numbers: Any, results: Any) -> Any:
            returned = types.UniTuple(unit, sums) if sums else types.intp

            def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                _, count, given, spread, wanted = values
                kinds = [context.cast(builder, *each, unit) for each in _numbers(builder, spread, signature.args[3])]
                row = _Row(builder, unit, formula, sums, unpacked(builder, given), unpacked(builder, wanted), kinds)
                totals = row.run(count, lines * LINE // BYTES)
                return context.make_tuple(builder, returned, totals) if sums else INT64(0)

            return returned(unit, types.intp, arguments, numbers, results), emit

        made.__name__, made.__doc__, made.__module__ = formula.__name__, formula.__doc__, formula.__module__
        return intrinsic(made)

    return decorate


def _numbers(builder: Any, values: Any, kinds: Any) -> list[tuple[Any, Any]]:
    """Return each number with its type."""
    return list(zip(unpacked(builder, values), kinds.types, strict=True)) if len(kinds) else []


class _Row:
    """The code of one call."""

    def __init__(
        self,
        builder: Any,
        unit: Any,
        formula: Callable[..., Any],
        sums: int,
        given: list[Any],
        wanted: list[Any],
        numbers: list[Any],
    ) -> None:
        self.builder, self.unit, self.formula, self.sums = builder, unit, formula, sums
        self.vector = vector_type(unit)
        self.given, self.wanted = given, wanted
        self.numbers = [Lanes(builder, splat(builder, number, self.vector.count)) for number in numbers]

    def run(self, count: Any, vectors: int) -> list[Any]:
        """Go over a row of `count` values, so many vectors at a time, and return the sums."""
        builder, step = self.builder, INT64(vectors * self.vector.count)
        zeros = [ir.Constant(self.vector, None)] * (vectors * self.sums)
        before = builder.block
        head, body, rest, some, done = (
            builder.append_basic_block(name) for name in ("row", "on", "rest", "some", "end")
        )
        builder.branch(head)
        builder.position_at_end(head)
        place = builder.phi(INT64)
        place.add_incoming(INT64(0), before)
        totals = [builder.phi(self.vector) for _ in zeros]
        for total, zero in zip(totals, zeros, strict=True):
            total.add_incoming(zero, before)
        following = builder.add(place, step)
        builder.cbranch(builder.icmp_signed("<=", following, count), body, rest)
        builder.position_at_end(body)
        added = self._vectors(place, totals, vectors, None)
        place.add_incoming(following, builder.block)
        for total, value in zip(totals, added, strict=True):
            total.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(rest)
        builder.cbranch(builder.icmp_signed("<", place, count), some, done)
        builder.position_at_end(some)
        last = self._vectors(place, totals, vectors, builder.sub(count, place))
        after = builder.block
        builder.branch(done)
        builder.position_at_end(done)
        found = []
        for total, value in zip(totals, last, strict=True):
            one = builder.phi(self.vector)
            one.add_incoming(total, rest)
            one.add_incoming(value, after)
            found.append(one)
        parts = [[Lanes(builder, found[k * self.sums + n]) for k in range(vectors)] for n in range(self.sums)]
        return [join_lanes(builder, part, lambda a, b: a + b) for part in parts]

    def _vectors(self, place: Any, totals: list[Any], vectors: int, count: Any) -> list[Any]:
        """Compute so many vectors, of which only `count` lanes exist, and return the totals with them."""
        builder, found = self.builder, []
        for k in range(vectors):
            offset = INT64(k * self.vector.count)
            mask = None if count is None else first_lanes(builder, builder.sub(count, offset), self.vector)
            here = builder.add(place, offset)
            lanes = [load(builder, address(builder, self.unit, at, here), self.vector, mask) for at in self.given]
            made = self.formula(*[Lanes(builder, value) for value in lanes], *self.numbers)
            results = made if isinstance(made, tuple) else (made,)
            for n, value in enumerate(results[: self.sums]):
                total = totals[k * self.sums + n]
                term = (
                    value.value if mask is None else builder.select(mask, value.value, ir.Constant(self.vector, None))
                )
                found.append(builder.fadd(total, term))
            for at, value in zip(self.wanted, results[self.sums :], strict=True):
                store(builder, value.value, address(builder, self.unit, at, here), mask)
        return found
