"""The pages of a column, one after the other: their levels and their values, still encoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from shared.dataset.parquet.codecs import unpack
from shared.dataset.parquet.encodings import Hybrid
from shared.dataset.parquet.faults import DamagedError, LackingError
from shared.dataset.parquet.footer import Chunk, Leaf, read_at
from shared.dataset.parquet.thrift import Fields, Reader
from shared.dataset.parquet.values import Dictionary, Values, decoded, dictionary_of

_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3
_PLAIN, _PLAIN_DICTIONARY, _RLE = 0, 2, 3
_HEADER_BYTES = 8 * 1024  # of what is read of a file at once to find a header; few are longer than 100 bytes
_MOST_HEADER_BYTES = 16 * 1024 * 1024  # old writers put the smallest and the largest text into it


class Page(NamedTuple):
    """levels: how many there are; a value belongs to each that is the highest. None: all levels are 0."""

    levels: int
    repetitions: Hybrid | None
    definitions: Hybrid | None
    values: Values


def pages(file: BinaryIO, chunk: Chunk, leaf: Leaf) -> Iterator[Page]:
    """Read the data pages of a column, and its dictionary before them."""
    return _Column(file, chunk, leaf).pages()


class _Column:
    def __init__(self, file: BinaryIO, chunk: Chunk, leaf: Leaf) -> None:
        self._file, self._codec, self._leaf = file, chunk.codec, leaf
        self._at, self._end = chunk.start, chunk.start + chunk.size
        self._values = chunk.values
        self._dictionary: Dictionary | None = None

    def pages(self) -> Iterator[Page]:
        found = 0
        while found < self._values:
            page = self._page(*self._next())
            if page is not None:
                found += page.levels
                yield page
            del page  # it may be large, and so may the next one

    def _page(self, header: Fields, packed: bytes) -> Page | None:
        kind, size = header[1], header[2]
        if kind == _DATA:
            return self._page_1(header[5], packed, size)
        if kind == _DATA_2:
            return self._page_2(header[8], packed, size)
        if kind == _DICTIONARY:
            if header[7].get(2) not in (_PLAIN, _PLAIN_DICTIONARY):
                raise LackingError
            self._dictionary = dictionary_of(unpack(self._codec, packed, size), header[7][1], self._leaf)
        return None

    def _next(self) -> tuple[Fields, bytes]:
        """The header of the next page, and its bytes."""
        header, start = self._header()
        size, self._at = header[3], start + header[3]
        if not (size >= 0 and self._at <= self._end and header[2] >= 0):
            raise DamagedError
        packed = read_at(self._file, start, size)
        if len(packed) < size or (4 in header and zlib.crc32(packed) != header[4] & 0xFFFFFFFF):
            raise DamagedError
        return header, packed

    def _header(self) -> tuple[Fields, int]:
        size = _HEADER_BYTES
        while self._at < self._end:
            reader = Reader(read_at(self._file, self._at, min(size, self._end - self._at)))
            try:
                return reader.struct(), self._at + reader.at
            except (IndexError, DamagedError):
                if size >= min(_MOST_HEADER_BYTES, self._end - self._at):
                    raise
                size *= 16
        raise DamagedError

    def _page_1(self, header: Fields, packed: bytes, size: int) -> Page:
        data = unpack(self._codec, packed, size)
        repetitions, at = self._levels(data, 0, self._leaf.repetition, header.get(4))
        definitions, at = self._levels(data, at, self._leaf.definition, header.get(3))
        return self._built(header[1], repetitions, definitions, header[2], data, at)

    def _levels(self, data: bytes, at: int, most: int, encoding: int | None) -> tuple[Hybrid | None, int]:
        """Levels of a page of version 1: their size, then they. Returns: where what follows begins."""
        if not most:
            return None, at
        if encoding != _RLE:
            raise LackingError
        start = at + 4
        end = start + int.from_bytes(data[at:start], "little")
        if end > len(data):
            raise DamagedError
        return Hybrid(data, start, end, most.bit_length()), end

    def _page_2(self, header: Fields, packed: bytes, size: int) -> Page:
        """A page of version 2: its levels are never compressed."""
        first, second = header[6], header[6] + header[5]  # the ends of the levels: repetitions, then definitions
        if not 0 <= first <= second <= min(len(packed), size):
            raise DamagedError
        leaf = self._leaf
        repetitions = Hybrid(packed, 0, first, leaf.repetition.bit_length()) if leaf.repetition else None
        definitions = Hybrid(packed, first, second, leaf.definition.bit_length()) if leaf.definition else None
        if not header.get(7, True):
            return self._built(header[1], repetitions, definitions, header[4], packed, second)
        data = unpack(self._codec, memoryview(packed)[second:], size - second)
        return self._built(header[1], repetitions, definitions, header[4], data, 0)

    def _built(
        self, levels: int, repetitions: Hybrid | None, definitions: Hybrid | None, encoding: int, data: bytes, at: int
    ) -> Page:
        if levels < 0:
            raise DamagedError
        return Page(levels, repetitions, definitions, decoded(encoding, data, at, self._leaf, self._dictionary))
