"""tanh and the logistic function on lanes, each one formula for float32 and float64.

    tanh x = e / (e + 2)  with  e = expm1(2x);      σ(x) = 1 / (1 + exp(-x))

Both exponentials are made of y = k ln 2 + r with |r| ≤ ln 2 / 2, exp(y) = 2^k (1 + expm1(r)), where the Taylor series
of expm1 needs 7 terms for float32 and 13 for float64. With expm1 the error of tanh is small beside tanh itself even
where that is small. (The reduction is the classical one: Muller, Elementary Functions, 3rd ed., ch. 11.)

The largest errors, absolute and (of tanh, where it is a normal number) relative; the tests look for larger ones:

    tanh float32 1.5e-07 2.2e-07
    tanh float64 2.8e-16 4.5e-16
    sigmoid float32 9e-08
    sigmoid float64 1.7e-16
"""

import math
from typing import Any, NamedTuple

from rnnframe_compiled.lanes import INT32, INT64, Lanes, splat


class _Format(NamedTuple):
    """What depends on the type: bits of the mantissa, offset of the exponent, terms of the series, the bounds of y.

    tanh is ±1 to the last bit outside ±`tanh`; exp neither overflows nor becomes subnormal within ±`exp`.
    """

    word: Any
    mantissa: int
    offset: int
    terms: int
    tanh: float
    exp: float


_SINGLE = _Format(INT32, 23, 127, 7, 18.1, 87.0)
_DOUBLE = _Format(INT64, 52, 1023, 13, 38.2, 708.0)


def tanh(x: Lanes) -> Lanes:
    """Return tanh x."""
    bound = _format(x).tanh
    power, p = _exponential((x + x).at_most(bound).at_least(-bound))
    e = p.fma(power, power - 1.0)
    return e / (e + 2.0)


def sigmoid(x: Lanes) -> Lanes:
    """Return 1 / (1 + exp(-x))."""
    bound = _format(x).exp
    power, p = _exponential((x * -1.0).at_most(bound).at_least(-bound))
    return x.number(1.0) / (p.fma(power, power) + 1.0)


def relu(x: Lanes) -> Lanes:
    """Return the larger of x and 0."""
    return x.at_least(0.0)


def _format(x: Lanes) -> _Format:
    return _SINGLE if x.single else _DOUBLE


def _exponential(y: Lanes) -> tuple[Lanes, Lanes]:
    """Return 2^k and expm1(r), of which exp(y) is made."""
    about = _format(y)
    count = y.value.type.count
    shift = 1.5 * 2.0**about.mantissa  # added to a small number it leaves the nearest integer in the last bits
    shifted = y.fma(1 / math.log(2), shift)
    k = shifted - shift
    high = _short(math.log(2), about)
    r = k.fma(-(math.log(2) - high), k.fma(-high, y))
    one = splat(y.builder, about.word(about.offset << about.mantissa), count)
    places = splat(y.builder, about.word(about.mantissa), count)
    power = shifted.bits(lambda builder, bits: builder.add(builder.shl(bits, places), one))
    series = y.number(1 / math.factorial(about.terms))
    for n in range(about.terms - 1, 0, -1):
        series = series.fma(r, 1 / math.factorial(n))
    return power, series * r


def _short(number: float, about: _Format) -> float:
    """Return a number with so few bits that its product with any k is exact."""
    bits = about.mantissa - 11
    return float(math.floor(number * 2**bits) / 2**bits)
