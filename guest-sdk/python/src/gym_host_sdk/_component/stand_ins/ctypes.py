# SPDX-License-Identifier: Apache-2.0
"""The part of `ctypes` that has a meaning without native libraries: the sizes and ranges of C's numbers."""

import struct as _struct


class _Number:
    _format = ""

    def __init__(self, value=0):
        self.value = value

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, value):
        if self._format in "fd":
            self._value = _struct.unpack(self._format, _struct.pack(self._format, value))[0]
            return
        bits = 8 * sizeof(type(self))
        value = int(value) & ((1 << bits) - 1)
        is_negative = self._format.islower() and value >> (bits - 1)
        self._value = value - (1 << bits) if is_negative else value

    def __repr__(self):
        return f"{type(self).__name__}({self._value})"


def _number(name, letter):
    return type(name, (_Number,), {"_format": letter, "__module__": __name__})


c_byte, c_ubyte = _number("c_byte", "b"), _number("c_ubyte", "B")
c_short, c_ushort = _number("c_short", "h"), _number("c_ushort", "H")
c_int, c_uint = _number("c_int", "i"), _number("c_uint", "I")
c_long, c_ulong = _number("c_long", "l"), _number("c_ulong", "L")
c_longlong, c_ulonglong = _number("c_longlong", "q"), _number("c_ulonglong", "Q")
c_float, c_double = _number("c_float", "f"), _number("c_double", "d")
c_int8, c_uint8, c_int16, c_uint16 = c_byte, c_ubyte, c_short, c_ushort
c_int32, c_uint32, c_int64, c_uint64 = c_int, c_uint, c_longlong, c_ulonglong
c_size_t, c_ssize_t = c_uint, c_int


def sizeof(kind):
    """Bytes of a number."""
    return _struct.calcsize(kind._format if hasattr(kind, "_format") else "P")


class CDLL:
    """There are no native libraries."""

    def __init__(self, name=None, *_, **__):
        raise OSError(f"there are no native libraries here, also not `{name}`")


PyDLL = CDLL
