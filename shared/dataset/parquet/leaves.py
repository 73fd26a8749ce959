"""The values of a column by rows: as many rows as wanted, whatever pages they lie in."""

from __future__ import annotations

from typing import Any, BinaryIO, NamedTuple

from shared.dataset.parquet.faults import DamagedError, TooLargeError
from shared.dataset.parquet.footer import Chunk, Leaf
from shared.dataset.parquet.pages import Page, pages

_STEP = 256  # levels that are decoded at once
_LEVEL_BYTES = 8


class Levels(NamedTuple):
    """A column of some rows. A repetition of 0 begins a row; a value belongs to each definition that is the highest."""

    repetitions: list[int]
    definitions: list[int]
    values: list[Any]


class LeafReader:
    """Reads one column of a row group. is_at_end: all its pages are read, though not all its rows taken.

    Raises: DamagedError, LackingError, LookupError, ValueError, MemoryError; TooLargeError: a row takes more bytes.
    """

    def __init__(self, file: BinaryIO, chunk: Chunk, leaf: Leaf, max_row_bytes: int) -> None:
        self._leaf, self._max_row_bytes = leaf, max_row_bytes
        self._pages = pages(file, chunk, leaf)
        self._page: Page | None = None
        self._left = 0  # levels of the page
        self._repetitions: list[int] = []
        self._definitions: list[int] = []
        self._values: list[Any] = []
        self._sizes: list[int] = []
        self._starts: list[int] = []  # of rows, among the levels
        self._bytes = 0
        self.is_at_end = False

    def fill(self, rows: int, most_bytes: int) -> int:
        """Read until there are so many rows, or bytes. Returns: complete rows, at least one if there is another."""
        while not self.is_at_end and (ready := self._ready()) < rows:
            if ready and self._bytes > most_bytes:
                break
            if not ready and self._bytes > self._max_row_bytes:
                raise TooLargeError
            self._read()
        return min(rows, self._ready())

    def take(self, rows: int) -> tuple[Levels, int]:
        """Take rows of those that are there. Returns: their levels and values, and the bytes of these."""
        end = self._starts[rows] if rows < len(self._starts) else len(self._definitions)
        repetitions, definitions = self._repetitions[:end], self._definitions[:end]
        count = definitions.count(self._leaf.definition)
        values, size = self._values[:count], sum(self._sizes[:count]) + _LEVEL_BYTES * end
        del self._repetitions[:end], self._definitions[:end], self._values[:count], self._sizes[:count]
        self._starts = [start - end for start in self._starts[rows:]]
        self._bytes -= size
        return Levels(repetitions, definitions, values), size

    def _ready(self) -> int:
        """A row of lists is known to be complete when the next one begins."""
        is_last_open = self._leaf.repetition and not self.is_at_end
        return max(0, len(self._starts) - 1) if is_last_open else len(self._starts)

    def _read(self) -> None:
        while not self._left:
            self._page = None  # before there is the next one
            self._page = next(self._pages, None)
            if self._page is None:
                self.is_at_end = True
                return
            self._left = self._page.levels
        assert self._page is not None
        count = min(self._left, _STEP)
        self._left -= count
        self._keep(self._page, count)

    def _keep(self, page: Page, count: int) -> None:
        first = len(self._definitions)
        definitions = page.definitions.take(count) if page.definitions else [0] * count
        values, sizes = page.values.take(definitions.count(self._leaf.definition))
        if page.repetitions:
            repetitions = page.repetitions.take(count)
            self._starts += [at for at, level in enumerate(repetitions, first) if not level]
            if self._starts[:1] != [0]:
                raise DamagedError  # the first row has no beginning
        else:
            repetitions = [0] * count
            self._starts += range(first, first + count)
        self._repetitions += repetitions
        self._definitions += definitions
        self._values += values
        self._sizes += sizes
        self._bytes += sum(sizes) + _LEVEL_BYTES * count
