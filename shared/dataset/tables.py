"""Tables in text form (CSV, TSV): records that may spread over lines, as (line, fields)."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from shared.dataset.encodings import EncodingWatch
from shared.dataset.errors import RowError, UnusableFileError
from shared.dataset.lines import Span

MAX_COLUMNS = 2_000


class TableReader:
    """Reads a table whose first record names the columns."""

    def __init__(self, spans: Iterable[Span], delimiter: str, max_field_bytes: int, watch: EncodingWatch) -> None:
        # A limit of the whole process, and by default so low that a long answer ends the reading.
        csv.field_size_limit(max_field_bytes)
        self._watch = watch
        self._records = csv.reader(self._lines(spans), delimiter=delimiter, strict=True)
        self.columns: list[str] = []

    @property
    def lines_read(self) -> int:
        """Lines of text so far; a record may have several."""
        return self._records.line_num

    def _lines(self, spans: Iterable[Span]) -> Iterator[str]:
        """Lines with their ends. What is not UTF-8 is marked by surrogates, so that it spoils only its own row."""
        for span in spans:
            data = span.buffer[span.start : span.end]
            try:
                text = data.decode()
            except UnicodeDecodeError:
                text = data.decode("utf-8", "surrogateescape")
                self._watch.look_at(span, has_broken=True)
            else:
                self._watch.look_at(span, has_broken=False)
            lines = text.split("\n")
            last = lines.pop()
            for line in lines:
                yield line + "\n"
            if last:
                yield last

    def read_columns(self) -> list[str]:
        """Read the first record. Raises: UnusableFileError: no names of columns are to be had from it."""
        try:
            header = next((record for record in self._records if record), [])
        except csv.Error:
            raise UnusableFileError("the first line, which should name the columns, is malformed") from None
        self.columns = [name.strip() for name in header]
        if len(self.columns) > MAX_COLUMNS:
            raise UnusableFileError(f"the first line names {len(header):,} columns; at most {MAX_COLUMNS:,} are read")
        twice = [name for name, count in Counter(self.columns).items() if name and count > 1]
        if twice:
            raise UnusableFileError(f"the first line names the column {_shown(twice[0])} twice")
        return self.columns

    def rows(self) -> Iterator[tuple[int, dict[str, Any] | RowError | None]]:
        """Yield (line where the record begins, its value); None for a blank line, a RowError for one that is broken."""
        records, columns, width = self._records, self.columns, len(self.columns)
        while True:
            line = records.line_num + 1
            try:
                record = next(records, None)
            except csv.Error:
                yield line, RowError("malformed_record")
                continue
            if record is None:
                return
            if not record:
                yield line, None
            elif len(record) != width:
                yield line, RowError("field_count")
            else:
                yield line, dict(zip(columns, record, strict=True))


def _shown(name: str) -> str:
    return repr(name if len(name) <= 40 else name[:40] + "…")
