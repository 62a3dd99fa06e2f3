# SPDX-License-Identifier: Apache-2.0
"""The few functions of numpy that reasoning-gym's scorers call with single numbers, with numpy's results."""

import builtins
import math


def round(value, decimals=0):
    """The nearest number with so many decimals, ties to even: scaled, rounded and scaled back, as numpy does it."""
    value = float(value)
    if not math.isfinite(value):
        return value
    scale = 10.0 ** abs(decimals)
    scaled = value * scale if decimals >= 0 else value / scale
    if not math.isfinite(scaled):
        return scaled
    nearest = float(builtins.round(scaled))
    return nearest / scale if decimals >= 0 else nearest * scale


def isclose(a, b, rtol=1e-05, atol=1e-08):
    """Whether `a` is within `atol + rtol * |b|` of `b`."""
    a, b = float(a), float(b)
    if not (math.isfinite(a) and math.isfinite(b)):
        return a == b
    return builtins.abs(a - b) <= atol + rtol * builtins.abs(b)


def abs(value):
    """The absolute value."""
    return builtins.abs(value)
