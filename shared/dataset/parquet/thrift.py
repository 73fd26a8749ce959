"""Thrift's compact protocol: the footer and the page headers of a Parquet file are written in it.

The format: thrift-compact-protocol.md of apache/thrift.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from shared.dataset.parquet.faults import DamagedError

Fields = dict[int, Any]
"""A struct: values by the numbers of their fields. Texts are bytes."""

_MOST_NESTED = 16
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


class Reader:
    """Reads one value after the other; `at` is where the next one begins.

    Raises: IndexError, DamagedError: what is read ends within a value, or is no such value.
    """

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self.at = at

    def struct(self, nested: int = 0) -> Fields:
        """Read a struct with all that is in it."""
        return {number: self.value(kind, nested) for number, kind in self.fields()}

    def fields(self) -> Iterator[tuple[int, int]]:
        """The number and the kind of each field of a struct; its value is to be read before the next one."""
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            yield number, head & 15

    def value(self, kind: int, nested: int = 0) -> Any:
        """Read the value of a field."""
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        return self._item(kind, nested)

    def items(self) -> tuple[int, int]:
        """Begin a list. Returns: how many items there are, and their kind."""
        head = self._byte()
        count = head >> 4
        if count == 15:
            count = self.varint()
        if count > len(self._data) - self.at:
            raise DamagedError
        return count, head & 15

    def varint(self) -> int:
        """Read a number without a sign."""
        value = shift = 0
        while (byte := self._byte()) > 0x7F:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise DamagedError
        return value | byte << shift

    def _item(self, kind: int, nested: int) -> Any:
        read = self._SIMPLE.get(kind)
        if read is not None:
            return read(self)
        if nested == _MOST_NESTED:
            raise DamagedError
        if kind == _STRUCT:
            return self.struct(nested + 1)
        if kind in (_LIST, _SET):
            count, item = self.items()
            return [self._item(item, nested + 1) for _ in range(count)]
        raise DamagedError  # nothing of Parquet's is a map

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _signed(self) -> int:
        number = self.varint()
        return number >> 1 ^ -(number & 1)

    def _truth(self) -> bool:
        return self._byte() == _TRUE

    def _double(self) -> float:
        (value,) = struct.unpack("<d", self._bytes(8))
        return float(value)

    def _binary(self) -> bytes:
        return self._bytes(self.varint())

    def _bytes(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self._data):
            raise IndexError
        data = self._data[self.at : end]
        self.at = end
        return data

    _SIMPLE: dict[int, Callable[[Reader], Any]] = {  # noqa: RUF012 - read only
        _TRUE: _truth,
        _FALSE: _truth,
        _BYTE: _byte,
        _I16: _signed,
        _I32: _signed,
        _I64: _signed,
        _DOUBLE: _double,
        _BINARY: _binary,
    }
