"""tanh, the logistic function, its logarithm and exp of what is not positive on lanes, for float32 and float64.

    tanh x = e / (e + 2)  with  e = expm1(2x);      σ(x) = 1 / (1 + exp(-x))
    log σ(x) = min(x, 0) - 2 atanh(w)  with  w = e / (2 + e),  e = exp(-|x|)

The exponentials reduce their argument y to y = k ln 2 + r with |r| ≤ ln 2 / 2, and scale by 2^k what a polynomial
makes of r: the Taylor series to the 13th power for float64, for float32 the series to the 6th (tanh) and 5th (σ, exp),
economised on that interval. ln 2 is one number of the type: its error times k is small where k is, and where k is large
tanh and σ do not depend on it, and exp is near zero. With expm1 the error of tanh is small beside tanh itself even
where that is small. atanh is its series, to the 33rd power for float64, and for float32 to the 13th, economised on
w ≤ 1/3. (Muller, Elementary Functions, 3rd ed., ch. 3 and 11.)

The largest errors, absolute and (of tanh, where it is a normal number) relative; the tests look for larger ones:

    tanh float32 1.5e-07 2.2e-07
    tanh float64 2.8e-16 4.5e-16
    sigmoid float32 1.1e-07
    sigmoid float64 1.7e-16
    exp float32 1.8e-07
    exp float64 9.4e-17
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import chebyshev

from rnnframe_compiled.lanes import INT32, INT64, Lanes, splat


def _economised(series: list[float], count: int, half: float) -> tuple[float, ...]:
    """Return the `count` coefficients that come nearest to more of them, within ±`half`: the first Chebyshev terms."""
    powers = half ** np.arange(len(series))
    return tuple((chebyshev.cheb2poly(chebyshev.poly2cheb(series * powers)[:count]) / powers[:count]).tolist())


_LN2 = math.log(2)
_EXP = [(-1) ** n / math.factorial(n) for n in range(14)]
"""exp(-s), powers from 0."""
_EXPM1 = [2 ** (n + 1) / math.factorial(n + 1) for n in range(13)]
"""expm1(2s) / s, powers from 0."""
_ATANH = [2 / (2 * n + 1) for n in range(17)]
"""2 atanh(w) / w, powers of w² from 0."""


class _Format(NamedTuple):
    """What depends on the type: bits of the mantissa, coefficients, and the bounds of x.

    tanh is ±1 to the last bit outside ±`tanh`; exp neither overflows nor becomes subnormal within ±`exp`.
    """

    word: Any
    mantissa: int
    exp_series: tuple[float, ...]
    expm1_series: tuple[float, ...]
    atanh_series: tuple[float, ...]
    tanh: float
    exp: float


_SINGLE = _Format(
    word=INT32,
    mantissa=23,
    exp_series=(1.0, *_economised(_EXP[1:], 5, _LN2 / 2)),
    expm1_series=_economised(_EXPM1, 6, _LN2 / 4),
    atanh_series=_economised(_ATANH, 7, 1 / 9),
    tanh=9.05,
    exp=87.0,
)
_DOUBLE = _Format(INT64, 52, tuple(_EXP), tuple(_EXPM1), tuple(_ATANH), 19.1, 708.0)


def tanh(x: Lanes) -> Lanes:
    """Return tanh x."""
    about = _format(x)
    x = x.at_most(about.tanh).at_least(-about.tanh)
    shifted, k = _whole(x, 2 / _LN2)
    s = k.fma(-_LN2 / 2, x)
    power = _times_power(x.number(1), shifted)
    e = (s * _polynomial(about.expm1_series, s)).fma(power, power - 1.0)
    return e / (e + 2.0)


def sigmoid(x: Lanes) -> Lanes:
    """Return 1 / (1 + exp(-x))."""
    about = _format(x)
    x = x.at_most(about.exp).at_least(-about.exp)
    shifted, k = _whole(x, -1 / _LN2)
    s = k.fma(_LN2, x)
    return x.number(1) / (_times_power(_polynomial(about.exp_series, s), shifted) + 1.0)


def log_sigmoid(x: Lanes) -> Lanes:
    """Return log σ(x), which is -log(1 + exp(-x))."""
    e = exp((x * -1.0).or_larger(x) * -1.0)
    w = e / (e + 2.0)
    return x.at_most(0.0) - w * _polynomial(_format(x).atanh_series, w * w)


def exp(x: Lanes) -> Lanes:
    """Return exp x for x ≤ 0, or a number near the smallest normal one where that is smaller."""
    about = _format(x)
    x = x.at_least(-about.exp)
    shifted, k = _whole(x, 1 / _LN2)
    s = k.fma(_LN2, x * -1.0)  # -r
    return _times_power(_polynomial(about.exp_series, s), shifted)


def relu(x: Lanes) -> Lanes:
    """Return the larger of x and 0."""
    return x.at_least(0.0)


def _format(x: Lanes) -> _Format:
    return _SINGLE if x.single else _DOUBLE


def _whole(x: Lanes, factor: float) -> tuple[Lanes, Lanes]:
    """Return k, the integer nearest to x · factor, in the last bits of a large number, and as a number."""
    shift = 1.5 * 2.0 ** _format(x).mantissa
    shifted = x.fma(factor, shift)
    return shifted, shifted - shift


def _times_power(x: Lanes, shifted: Lanes) -> Lanes:
    """Return x · 2^k, for a k of `_whole` that leaves a normal number."""
    about = _format(x)
    places = splat(x.builder, about.word(about.mantissa), x.value.type.count)
    return x.bits(lambda builder, bits, k: builder.add(bits, builder.shl(k, places)), shifted)


def _polynomial(coefficients: tuple[float, ...], s: Lanes) -> Lanes:
    total = s.number(coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total.fma(s, coefficient)
    return total
