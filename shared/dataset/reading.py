"""The rows of one file, whatever its format and layout, one after the other to the sieve."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from shared import typed
from shared.dataset import formats, layouts, rules
from shared.dataset.arrays import Cut, cut_values, opening_of
from shared.dataset.compression import ALWAYS_ALLOWED
from shared.dataset.encodings import UTF8_MARK, EncodingWatch
from shared.dataset.errors import LineTooLongError, RowError, UnusableFileError
from shared.dataset.inputs import Input
from shared.dataset.layouts import Layout
from shared.dataset.lines import BLOCK, Span, whole_lines
from shared.dataset.options import PrepareOptions
from shared.dataset.report import Progress
from shared.dataset.rows import Row, decode_object, decode_row
from shared.dataset.sieve import Sieve
from shared.dataset.tables import TableReader
from shared.dataset.verdict import why

_DETECT_ROWS = 20
_DETECT_BYTES = 1024 * 1024
_HOPELESS_ROWS = 1000  # of which none is even well-formed
_MOST_GUESSES = 1000
_USELESS_ROWS = 100_000  # of which none can be used
_BLANKS = re.compile(rb"[ \t\r\n]*")
_STRICT_LAYOUTS = (layouts.PROMPT_MESSAGES, layouts.OPENAI)
_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
OnProgress = Callable[[Progress], None]


class Reading:
    """Reads one file. What it found out about the file is in its attributes, also when it could not be read."""

    def __init__(self, file: Input, sieve: Sieve, options: PrepareOptions, on_progress: OnProgress | None) -> None:
        self.file = file
        self.sieve = sieve
        self.format: str | None = None
        self.layout: str | None = None
        self.numbered_by = "line"
        self._options = options
        self._on_progress = on_progress
        self._reported = 0
        self._reader: Layout | None = None
        self._is_strict = False
        self._encoding = EncodingWatch()
        self._unknown_fields: list[str] = []
        self._guesses = 0

    def read(self, parquet: Path | None = None) -> None:
        """Read every row of a file that is open. parquet: where the file lies if it is one.

        Raises: UnusableFileError: the file as a whole cannot be read, or goes on in a way that gives no hope.
        """
        try:
            found = formats.recognise(self.file.head, self.file.name)
        except UnusableFileError as error:
            self.format = error.format
            raise
        self.format = found.name
        try:
            if parquet is not None:
                self._read_parquet(parquet)
            elif found.name == formats.JSONL:
                self._read_lines()
            elif found.name == formats.JSON:
                self._read_array()
            else:
                self._read_table(found.delimiter)
        except LineTooLongError:
            raise self._too_long() from None
        self._encoding.check(self.sieve.rejected.count("invalid_utf8"), self.sieve.rows_read)
        if not self.sieve.rows_kept and self._unknown_fields and self._reader is None:
            raise _unknown_layout(self._unknown_fields)

    # JSON Lines

    def _read_lines(self) -> None:
        head = self._without_mark(self.file.head)
        lines = head.split(b"\n", _DETECT_ROWS)[:_DETECT_ROWS]
        self._settle_layout(_values(line for line in lines if len(line) <= self._options.max_line_bytes))
        for span in whole_lines(chain((head,), self.file.stream), self._options.max_line_bytes):
            broken_before = self.sieve.rejected.count("invalid_utf8")
            self._take_rows(span, self._bounds(span))
            self._encoding.look_at(span, has_broken=self.sieve.rejected.count("invalid_utf8") > broken_before)
            self._after_block()

    def _bounds(self, span: Span) -> Iterator[tuple[int, int]]:
        buffer, start, stop = span
        find, most = buffer.find, self._options.max_line_bytes
        while start < stop:
            end = find(b"\n", start, stop)
            if end < 0:
                end = stop
            elif buffer[start] in b" \t\r\n" and (behind := self._skip_blank_lines(buffer, start, stop)):
                start = behind
                continue
            if end - start > most:
                raise LineTooLongError
            yield start, end
            start = end + 1

    def _skip_blank_lines(self, buffer: bytes, start: int, stop: int) -> int:
        """Count blank lines, however many. Returns: where they end; 0 if there is none."""
        blanks = _BLANKS.match(buffer, start, stop)
        behind = buffer.rfind(b"\n", start, blanks.end() if blanks else start) + 1
        if behind:
            lines = buffer.count(b"\n", start, behind)
            self.sieve.notes.add_run("blank_line", self.sieve.line + 1, lines)
            self.sieve.line += lines
        return behind

    # A JSON array, or objects over several lines

    def _read_array(self) -> None:
        self.numbered_by = "row"
        head = self._without_mark(self.file.head)
        first = True
        for cut in cut_values(head, self.file.stream, self._options.max_line_bytes):
            if first:
                self._settle_layout(_values(_first_rows(cut)))
                first = False
            self._take_rows(Span(cut.buffer, cut.bounds[0][0], cut.bounds[-1][1]), cut.bounds)
            self._after_block()
        if first and opening_of(head):
            raise UnusableFileError("the JSON array is empty")

    def _take_rows(self, span: Span, bounds: Iterable[tuple[int, int]]) -> None:
        """Take rows of JSON one by one. Every row of most files comes through here: few calls, no copies."""
        view = memoryview(span.buffer)
        scan = rules.ControlScan(*span)
        sieve, take, is_strict = self.sieve, self.sieve.take, self._is_strict
        for start, end in bounds:
            sieve.line += 1
            suspicious = scan.next_at < end
            if suspicious:
                scan.pass_line(end)
            line = view[start:end]
            try:
                if is_strict:
                    try:
                        row = decode_row(line)
                    except _MALFORMED:
                        self._take_closely(bytes(line), suspicious)
                    else:
                        sieve.rows_read += 1
                        take(row, line, suspicious)
                else:
                    self._take_closely(bytes(line), suspicious)
            except RowError as error:
                sieve.reject(error)
        sieve.rest()

    def _take_closely(self, line: bytes, suspicious: bool) -> None:
        """Take a line the strict decoder refused, or of another layout. Raises: RowError: it cannot be used."""
        if line.strip():
            self.sieve.rows_read += 1
            self.sieve.take(self._row_of(decode_object(line)), None, suspicious)
        else:
            self.sieve.note("blank_line")

    # Tables

    def _read_table(self, delimiter: str) -> None:
        most = self._options.max_line_bytes
        spans = self._watched(whole_lines(chain((self._without_mark(self.file.head),), self.file.stream), most))
        table = TableReader(spans, delimiter, most, self._encoding)
        try:
            self._read_records(table)
        except LineTooLongError:
            self.sieve.line = table.lines_read
            raise

    def _read_records(self, table: TableReader) -> None:
        table.read_columns()
        rows = table.rows()
        first: list[tuple[int, dict[str, Any] | RowError | None]] = []
        size = 0
        for numbered in rows:
            first.append(numbered)
            size += sum(map(len, numbered[1].values())) if isinstance(numbered[1], dict) else 0
            if len(first) == _DETECT_ROWS or size > _DETECT_BYTES:
                break
        self._settle_layout([value for _, value in first if isinstance(value, dict)])
        for line, value in chain(first, rows):
            self.sieve.line = line
            self._take_value(value)
        self.sieve.rest()

    def _watched(self, spans: Iterable[Span]) -> Iterator[Span]:
        for span in spans:
            yield span
            self.sieve.rest()
            self._after_block()

    def _read_parquet(self, path: Path) -> None:
        from shared.dataset.parquet import batches

        self.numbered_by = "row"
        options = self._options
        # As for a packed file: pages may be packed, and a dictionary may repeat one long text in every row.
        unpacked = int(max(path.stat().st_size * options.max_expansion, ALWAYS_ALLOWED))
        most = min(unpacked, options.max_unpacked_bytes)
        first = True
        for batch in batches(path, max_row_bytes=options.max_line_bytes, max_unpacked_bytes=most):
            if first:
                self._settle_layout(batch[:_DETECT_ROWS])
                first = False
            for value in batch:
                self.sieve.line += 1
                self._take_value(value)
            self.sieve.rest()
            self._give_up_if_hopeless()
            if self._on_progress:
                self._on_progress(Progress(self.file.bytes_read, self.sieve.rows_read))

    def _take_value(self, value: dict[str, Any] | RowError | None) -> None:
        if value is None:
            self.sieve.note("blank_line")
            return
        self.sieve.rows_read += 1
        try:
            if isinstance(value, RowError):
                raise value
            self.sieve.take(self._row_of_columns(value), None, None)
        except UnicodeEncodeError:  # marked by the table's reader
            self.sieve.reject(RowError("invalid_utf8"))
        except RowError as error:
            self.sieve.reject(error)

    def _row_of_columns(self, value: dict[str, Any]) -> Row:
        if self._is_strict:
            try:
                return typed.convert(value, Row)
            except msgspec.ValidationError:
                pass
        return self._row_of(value)

    # Layouts

    def _settle_layout(self, values: list[dict[str, Any]]) -> None:
        options = self._options
        if options.layout or options.columns:
            self._reader = layouts.chosen(options.layout, options.columns)
        else:
            self._reader = layouts.detect(values)
        if self._reader is None:
            if title := layouts.unsupported(values):
                raise UnusableFileError(f"the rows are {title}")
            self._unknown_fields = sorted({str(field) for value in values for field in value})
            return
        self.layout = self._reader.name
        self._is_strict = not options.columns and self.layout in _STRICT_LAYOUTS
        self.sieve.gives_prompts = self.layout == layouts.PROMPT_MESSAGES

    def _row_of(self, value: dict[str, Any]) -> Row:
        if self._reader is None:
            if self._guesses < _MOST_GUESSES:
                self._guesses += 1
                self._settle_layout([value])
            if self._reader is None:
                raise RowError("unknown_layout")
        return self._reader.read(value, self.sieve.note)

    # The file as a whole

    def _without_mark(self, head: bytes) -> bytes:
        if not head.startswith(UTF8_MARK):
            return head
        self.sieve.notes.add("bom_removed", 1)
        return head[len(UTF8_MARK) :]

    def _after_block(self) -> None:
        self._give_up_if_hopeless()
        bytes_read = self.file.bytes_read
        if self._on_progress and bytes_read - self._reported >= BLOCK:
            self._reported = bytes_read
            self._on_progress(Progress(bytes_read, self.sieve.rows_read))

    def _give_up_if_hopeless(self) -> None:
        """Do not read gigabytes of something that is no JSON at all."""
        rejected, rows = self.sieve.rejected, self.sieve.rows_read
        malformed = rejected.count("invalid_json") + rejected.count("invalid_utf8") + rejected.count("malformed_record")
        if rows >= _HOPELESS_ROWS and malformed == rows:
            self._encoding.check(rejected.count("invalid_utf8"), rows)
            title = formats.TITLES[self.format or formats.JSONL]
            raise UnusableFileError(f"the file is not {title}: none of its first {malformed:,} rows is valid")
        if rows >= _USELESS_ROWS and not (self.sieve.rows_kept or self.sieve.rows_sampled_out):
            raise UnusableFileError(f"none of the first {rows:,} rows can be used{why(rejected, self.numbered_by)}")

    def _too_long(self) -> UnusableFileError:
        hint = "; a JSON Lines file holds one conversation on each line" if self.format == formats.JSONL else ""
        return UnusableFileError(
            f"{self.numbered_by} {self.sieve.line + 1:,} is longer than {self._options.max_line_bytes:,} bytes{hint}"
        )


def _first_rows(cut: Cut) -> Iterator[bytes]:
    """As many values as it takes to know the layout, but not all of many large ones."""
    size = 0
    for start, end in cut.bounds[:_DETECT_ROWS]:
        yield cut.buffer[start:end]
        size += end - start
        if size > _DETECT_BYTES:
            return


def _values(rows: Iterable[bytes]) -> list[dict[str, Any]]:
    values = []
    for row in rows:
        try:
            values.append(decode_object(row))
        except RowError:
            continue
    return values


def _unknown_layout(fields: list[str]) -> UnusableFileError:
    shown = ", ".join(field[:40] for field in fields[:12]) + (", …" if len(fields) > 12 else "")
    return UnusableFileError(
        f"the rows are in no known layout; their fields are {shown}. Say which field holds what, for example "
        "columns: {user: question, assistant: reply}"
    )
