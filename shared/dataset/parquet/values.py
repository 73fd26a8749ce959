"""The values of a page as Python's, and the bytes that each of them takes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from shared.dataset.parquet.encodings import (
    Decoder,
    Deltas,
    DeltaTexts,
    Fixed,
    Hybrid,
    PrefixedTexts,
    Texts,
    Truths,
    joined_streams,
)
from shared.dataset.parquet.faults import DamagedError, LackingError
from shared.dataset.parquet.footer import BOOLEAN, BYTE_ARRAY, DOUBLE, FIXED, FLOAT, INT32, INT64, Leaf

_PLAIN, _PLAIN_DICTIONARY, _RLE, _DELTAS, _DELTA_SIZES, _DELTA_TEXTS, _RLE_DICTIONARY, _SPLIT = 0, 2, 3, 5, 6, 7, 8, 9
_CODES = {INT32: "i", INT64: "q", FLOAT: "f", DOUBLE: "d", FIXED: "e"}
_UNSIGNED = range(11, 15)  # of ConvertedType
_INTEGER = 10  # of LogicalType
_NUMBER_BYTES = 8

Sized = tuple[Sequence[Any], list[int]]
"""Values, and the bytes that each takes."""


class Values(Protocol):
    """Gives the next values of a page."""

    def take(self, count: int) -> Sized:
        """Decode as many values. Raises: see Decoder."""


class Dictionary(NamedTuple):
    """What the pages of a column refer to."""

    values: Sequence[Any]
    sizes: list[int]


def dictionary_of(data: bytes, count: int, leaf: Leaf) -> Dictionary:
    """Decode the dictionary of a column."""
    return Dictionary(*_plain(data, 0, leaf).take(count))


def decoded(encoding: int, data: bytes, at: int, leaf: Leaf, dictionary: Dictionary | None) -> Values:
    """What decodes the values of a page, from a place on.

    Raises: LackingError: an encoding that is not known here, for a column of this type.
    """
    if encoding in (_PLAIN_DICTIONARY, _RLE_DICTIONARY):
        if dictionary is None:
            raise DamagedError
        width = data[at] if at < len(data) else 0  # a page of nulls alone
        return _Entries(dictionary, Hybrid(data, at + 1, len(data), width))
    if encoding == _PLAIN:
        return _plain(data, at, leaf)
    if leaf.type == BYTE_ARRAY and encoding in (_DELTA_SIZES, _DELTA_TEXTS):
        return _Texts(DeltaTexts(data, at) if encoding == _DELTA_SIZES else PrefixedTexts(data, at))
    if leaf.type in (INT32, INT64) and encoding == _DELTAS:
        return _Numbers(Deltas(data, at, bits=64 if leaf.type == INT64 else 32, is_signed=not _is_unsigned(leaf)))
    if leaf.type in _CODES and encoding == _SPLIT:
        code = _code(leaf)
        return _Numbers(Fixed(joined_streams(data[at:], struct.calcsize("<" + code)), 0, code))
    if leaf.type == BOOLEAN and encoding == _RLE:
        start = at + 4
        return _Numbers(Truths(Hybrid(data, start, start + int.from_bytes(data[at:start], "little"), 1)))
    raise LackingError


def _plain(data: bytes, at: int, leaf: Leaf) -> Values:
    if leaf.type == BYTE_ARRAY:
        return _Texts(Texts(data, at))
    if leaf.type == BOOLEAN:
        return _Numbers(Truths(Hybrid.of_bits(data, at)))
    return _Numbers(Fixed(data, at, _code(leaf)))


def _code(leaf: Leaf) -> str:
    """Of the struct module."""
    code = _CODES[leaf.type]
    if leaf.type == FIXED and leaf.length != struct.calcsize("<e"):
        raise DamagedError
    return code.upper() if _is_unsigned(leaf) else code


def _is_unsigned(leaf: Leaf) -> bool:
    integer = leaf.annotation.get(10, {}).get(_INTEGER)
    return not integer.get(2, True) if integer else leaf.annotation.get(6) in _UNSIGNED


class _Numbers:
    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def take(self, count: int) -> Sized:
        return self._decoder.take(count), [_NUMBER_BYTES] * count


class _Texts:
    """What is not UTF-8 stays bytes."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def take(self, count: int) -> Sized:
        found = self._decoder.take(count)
        try:
            return list(map(bytes.decode, found)), list(map(len, found))
        except UnicodeDecodeError:
            return list(map(_text, found)), list(map(len, found))


class _Entries:
    def __init__(self, dictionary: Dictionary, indices: Hybrid) -> None:
        self._dictionary, self._indices = dictionary, indices

    def take(self, count: int) -> Sized:
        found, (values, sizes) = self._indices.take(count), self._dictionary
        return list(map(values.__getitem__, found)), list(map(sizes.__getitem__, found))


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
