"""The encodings of a page's levels and values: each gives the next ones, as many as asked for.

The format: Encodings.md of apache/parquet-format. A page may claim any number of values in a few bytes; what nobody
asks for is not made.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Protocol

from shared.dataset.parquet.faults import DamagedError

_STEP_GROUPS = 512  # of eight packed numbers
_MOST_IN_BLOCK = 1024 * 1024
_UINT32 = struct.Struct("<I")


class Decoder(Protocol):
    """Gives the next values of a page."""

    def take(self, count: int) -> Sequence[Any]:
        """Decode as many values. Raises: DamagedError, LookupError, ValueError: there are fewer, or they are none."""


class Hybrid:
    """Numbers of few bits: runs of one number, and groups of eight that are packed. Levels, indices, booleans."""

    def __init__(self, data: bytes, at: int, end: int, width: int) -> None:
        if width > 32:
            raise DamagedError
        self._data, self._at, self._end, self._width = data, at, end, width
        self._number = self._repeated = self._groups = 0
        self._packed: list[int] = []
        self._used = 0

    @classmethod
    def of_bits(cls, data: bytes, at: int) -> Hybrid:
        """Packed bits, without the header of a run."""
        bits = cls(data, at, len(data), 1)
        bits._groups = len(data) - at
        return bits

    def take(self, count: int) -> list[int]:
        """See Decoder."""
        if not self._width:
            return [0] * count
        found: list[int] = []
        while (missing := count - len(found)) > 0:
            if self._repeated:
                number = min(missing, self._repeated)
                found += [self._number] * number
                self._repeated -= number
            elif self._used < len(self._packed):
                part = self._packed[self._used : self._used + missing]
                self._used += len(part)
                found += part
            elif self._groups:
                self._unpack()
            else:
                self._next_run()
        return found

    def _next_run(self) -> None:
        header, at = varint(self._data, self._at)
        if header & 1:
            self._groups, self._at = header >> 1, at
        else:
            self._at = at + (self._width + 7) // 8
            self._repeated, self._number = header >> 1, int.from_bytes(self._data[at : self._at], "little")
        if self._at > self._end or not header >> 1:  # a run of none would be a way to waste time
            raise DamagedError

    def _unpack(self) -> None:
        groups = min(self._groups, _STEP_GROUPS)
        end = min(self._at + groups * self._width, self._end)  # some writers leave out the end of the last group
        if self._at == end:
            raise DamagedError
        self._packed, self._used = unpacked(self._data[self._at : end], self._width), 0
        self._groups -= groups
        self._at = end


def _bits(byte: int, width: int) -> tuple[int, ...]:
    return tuple(byte >> shift & (1 << width) - 1 for shift in range(0, 8, width))


_TABLES = {width: [_bits(byte, width) for byte in range(256)] for width in (1, 2, 4)}


def unpacked(data: bytes, width: int) -> list[int]:
    """Numbers of a fixed count of bits, the lowest bit first."""
    if width in _TABLES:
        return list(chain.from_iterable(map(_TABLES[width].__getitem__, data)))
    if width == 8:
        return list(data)
    mask, shifts = (1 << width) - 1, range(0, 8 * width, width)
    found: list[int] = []
    for at in range(0, len(data), width):
        eight = int.from_bytes(data[at : at + width], "little")
        found += [eight >> shift & mask for shift in shifts]
    return found


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number without a sign. Returns: the number, and where the next value begins."""
    value = shift = 0
    while (byte := data[at]) > 0x7F:
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if shift > 63:
            raise DamagedError
    return value | byte << shift, at + 1


def _signed(data: bytes, at: int) -> tuple[int, int]:
    number, at = varint(data, at)
    return number >> 1 ^ -(number & 1), at


class Fixed:
    """PLAIN numbers. code: of the struct module."""

    def __init__(self, data: bytes, at: int, code: str) -> None:
        self._data, self._at, self._code = data, at, code
        self._size = struct.calcsize("<" + code)

    def take(self, count: int) -> Sequence[Any]:
        """See Decoder."""
        at, self._at = self._at, self._at + count * self._size
        if self._at > len(self._data):
            raise DamagedError
        return struct.unpack_from(f"<{count}{self._code}", self._data, at)


class Texts:
    """PLAIN texts: the size of each before it."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def take(self, count: int) -> list[bytes]:
        """See Decoder."""
        data, at, size_at = self._data, self._at, _UINT32.unpack_from
        found = []
        try:
            for _ in range(count):
                start = at + 4
                at = start + size_at(data, at)[0]
                found.append(data[start:at])
        except struct.error:
            raise DamagedError from None
        if at > len(data):
            raise DamagedError
        self._at = at
        return found


class Truths:
    """Booleans, a bit for each."""

    def __init__(self, bits: Hybrid) -> None:
        self._bits = bits

    def take(self, count: int) -> list[bool]:
        """See Decoder."""
        return list(map(bool, self._bits.take(count)))


class Deltas:
    """DELTA_BINARY_PACKED: whole numbers by their differences. bits: of the column's type."""

    def __init__(self, data: bytes, at: int, *, bits: int = 64, is_signed: bool = True) -> None:
        self._data, self.at = data, at
        self._modulus = 1 << bits
        self._most = (self._modulus >> 1 if is_signed else self._modulus) - 1
        self._numbers = self._decoded()

    def take(self, count: int) -> list[int]:
        """See Decoder."""
        found = list(islice(self._numbers, count))
        if len(found) < count:
            raise DamagedError
        return found

    def rest(self) -> list[int]:
        """All that is left; after it, `at` is the end of the encoded numbers."""
        return list(self._numbers)

    def _decoded(self) -> Iterator[int]:
        data, modulus, most = self._data, self._modulus, self._most
        block, self.at = varint(data, self.at)
        miniblocks, self.at = varint(data, self.at)
        left, self.at = varint(data, self.at)
        number, self.at = _signed(data, self.at)
        if not 0 < miniblocks <= block <= _MOST_IN_BLOCK or block % miniblocks or block // miniblocks % 8:
            raise DamagedError
        if left:
            yield number % modulus if number < 0 and most == modulus - 1 else number
            left -= 1
        while left > 0:
            least, self.at = _signed(data, self.at)
            widths = data[self.at : self.at + miniblocks]
            self.at += miniblocks
            for width in widths:
                for delta in self._miniblock(width, block // miniblocks, left):
                    number = (number + least + delta) % modulus
                    if number > most:
                        number -= modulus
                    yield number
                left -= block // miniblocks
                if left <= 0:
                    break

    def _miniblock(self, width: int, count: int, left: int) -> list[int]:
        if width > 64:
            raise DamagedError
        size = count // 8 * width
        if not width:
            return [0] * min(count, left)
        packed = self._data[self.at : self.at + size]
        if len(packed) < size:
            raise DamagedError
        self.at += size
        return unpacked(packed, width)[:left]


class DeltaTexts:
    """DELTA_LENGTH_BYTE_ARRAY: the sizes of all texts, then the texts."""

    def __init__(self, data: bytes, at: int) -> None:
        sizes = Deltas(data, at, bits=32)
        self._sizes = iter(sizes.rest())
        self._data, self._at = data, sizes.at

    def take(self, count: int) -> list[bytes]:
        """See Decoder."""
        found = []
        for size in islice(self._sizes, count):
            start, self._at = self._at, self._at + size
            if size < 0 or self._at > len(self._data):
                raise DamagedError
            found.append(self._data[start : self._at])
        if len(found) < count:
            raise DamagedError
        return found


class PrefixedTexts:
    """DELTA_BYTE_ARRAY: how much of the text before each begins with, then the rest of it."""

    def __init__(self, data: bytes, at: int) -> None:
        prefixes = Deltas(data, at, bits=32)
        self._prefixes = iter(prefixes.rest())
        self._rests = DeltaTexts(data, prefixes.at)
        self._last = b""

    def take(self, count: int) -> list[bytes]:
        """See Decoder."""
        found = []
        for prefix, rest in zip(islice(self._prefixes, count), self._rests.take(count), strict=True):
            if not 0 <= prefix <= len(self._last):
                raise DamagedError
            self._last = self._last[:prefix] + rest
            found.append(self._last)
        return found


def joined_streams(data: bytes, size: int) -> bytes:
    """BYTE_STREAM_SPLIT: the first bytes of all numbers, then the second ones. Returns: numbers as PLAIN has them."""
    count, rest = divmod(len(data), size)
    if rest:
        raise DamagedError
    plain = bytearray(len(data))
    for byte in range(size):
        plain[byte::size] = data[byte * count : (byte + 1) * count]
    return bytes(plain)
