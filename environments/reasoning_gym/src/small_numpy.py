# SPDX-License-Identifier: Apache-2.0
"""The few functions of numpy that reasoning-gym calls with single numbers or for the weights of a choice, with numpy's
results."""

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


class Row(list):
    """A list of numbers that can be divided by one."""

    def __truediv__(self, divisor):
        return Row(value / divisor for value in self)


array = Row


def exp(values):
    """The exponentials of a number or a list of them."""
    return Row(math.exp(value) for value in values) if isinstance(values, list) else math.exp(values)


def sum(values):
    """The sum of a list."""
    return builtins.sum(values)
