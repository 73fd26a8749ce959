"""Read the rows of a Parquet file a few at a time, whatever the size of its row groups.

Import and use this in a process of its own (see isolated.py): the library is C++, and the file decides what it does. A
page may claim or unpack to gigabytes, a dictionary may repeat one long text in every row. The memory limit of the
process ends that; where Arrow then only reports it, the rows are tried again in smaller batches.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet as pq

from shared.dataset.errors import UnusableFileError
from shared.dataset.parquet_columns import choose_columns
from shared.dataset.parquet_values import holds_map, plain_rows

Rows = list[dict[str, Any]]

# Small batches are decoded, made into objects and used while they are in the processor's cache: it costs a third less.
_BATCH_BYTES = 256 * 1024
_BATCH_ROWS = 512
_LARGE_BATCH_BYTES = 16 * 1024 * 1024  # the footer's sizes misled: read on in smaller batches
_BUFFER_BYTES = 16 * 1024  # for each column
_ROW_BYTES = 100  # what a row counts beside its values: about what JSON takes. Rows of nothing are not free
_MEASURED_COLUMNS = 64
_FOOTER_LIMITS = {
    "thrift_string_size_limit": 16 * 1024 * 1024,
    "thrift_container_size_limit": 200_000,
    "schema_depth_limit": 128,
}
_DAMAGED = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
_LACKING = re.compile("not supported|not built|[Uu]nsupported|not (yet )?implemented")
_MAGIC, _ENCRYPTED_MAGIC = b"PAR1", b"PARE"


def batches(path: Path, *, max_row_bytes: int, max_unpacked_bytes: int | None = None) -> Batches:
    """Open a Parquet file; iterate over the result for lists of rows.

    A row holds what JSON can: nulls, booleans, numbers, texts, lists, objects (maps too). A text that is not UTF-8 is
    given as bytes. Columns and fields that cannot be part of a conversation are left out; `skipped` names them.

    Args: max_row_bytes: a larger row ends the reading. max_unpacked_bytes: limit for all rows together.
    Raises: UnusableFileError, also while iterating: not a Parquet file, encrypted, damaged, or beyond a limit.
    """
    return Batches(path, max_row_bytes, max_unpacked_bytes)


class Batches:
    """The rows of one file, to be read once.

    rows: how many there are, as the footer says. rows_read, unpacked_bytes: so far. skipped: what is left out, and
    what it holds: "embedding.list.element (list of numbers)".
    """

    def __init__(self, path: Path, max_row_bytes: int, max_unpacked_bytes: int | None) -> None:
        _check_frame(path)
        try:
            self._file = pq.ParquetFile(
                pa.OSFile(str(path)),
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                page_checksum_verification=True,
                arrow_extensions_enabled=False,
                **_FOOTER_LIMITS,
            )
            self._paths, self.skipped = choose_columns(self._file)
            self._has_maps = any(holds_map(field.type) for field in self._file.schema_arrow)
        except MemoryError:
            raise _unusable("the footer of the Parquet file needs more memory than there is") from None
        except _DAMAGED:
            raise _unusable("the footer of the Parquet file cannot be read; the file is damaged") from None
        self._max_row_bytes = max_row_bytes
        self._max_unpacked_bytes = max_unpacked_bytes
        self._row_bytes = 1.0  # as last measured
        self.rows: int = self._file.metadata.num_rows
        self.rows_read = 0
        self.unpacked_bytes = 0

    def __iter__(self) -> Iterator[Rows]:
        for group in range(self._file.num_row_groups):
            before = self.rows_read
            try:
                yield from self._group(group)
            except _DAMAGED as error:
                raise self._unreadable(group, error) from None
            self._check_count(group, self.rows_read - before)

    # One row group

    def _group(self, group: int) -> Iterator[Rows]:
        first = self.rows_read
        batch_rows: int | None = self._estimate(group)
        while batch_rows is not None:
            batch_rows = yield from self._attempt(group, self.rows_read - first, batch_rows)

    def _estimate(self, group: int) -> int:
        """Rows for the first batch, by the sizes in the footer; they may lie, or hide what a dictionary repeats."""
        metadata = self._file.metadata.row_group(group)
        size = metadata.total_byte_size
        if metadata.num_columns <= _MEASURED_COLUMNS and self._paths is not None:
            columns = (metadata.column(number) for number in range(metadata.num_columns))
            read = set(self._paths)
            size = sum(column.total_uncompressed_size for column in columns if column.path_in_schema in read)
        return self._fitting(min(size / max(1, metadata.num_rows), self._max_row_bytes))

    def _fitting(self, row_bytes: float) -> int:
        return max(1, min(_BATCH_ROWS, int(_BATCH_BYTES / max(1.0, row_bytes, self._row_bytes))))

    def _attempt(self, group: int, done: int, batch_rows: int) -> Generator[Rows, None, int | None]:
        """Read a row group from its row number `done` on. Returns: rows for smaller batches if there is need."""
        try:
            found = self._file.iter_batches(batch_rows, row_groups=[group], columns=self._paths, use_threads=False)
            for batch in _after(found, done):
                yield from self._convert(batch)
                if batch.nbytes > _LARGE_BATCH_BYTES and batch_rows > 1:
                    return max(1, min(batch_rows // 2, self._fitting(1.0)))
        except MemoryError:
            if batch_rows > 1:
                return max(1, batch_rows // 16)
            raise _unusable(
                f"row {self.rows_read + 1:,} of the Parquet file, or the page it is in, needs more memory than there "
                "is; write smaller pages, or JSON Lines"
            ) from None
        return None

    def _convert(self, batch: pa.RecordBatch) -> Iterator[Rows]:
        """A batch as rows, in parts if its rows are larger than they were expected to be."""
        self._row_bytes = batch.nbytes / max(1, batch.num_rows)
        step = self._fitting(1.0)
        for start in range(0, batch.num_rows, step):
            part = batch.slice(start, step)
            self._check_size(part)
            rows = plain_rows(part, has_maps=self._has_maps)
            self.rows_read += len(rows)
            yield rows

    # Limits

    def _check_size(self, part: pa.RecordBatch) -> None:
        size = part.nbytes
        if size > self._max_row_bytes:
            for number in range(part.num_rows):
                if part.slice(number, 1).nbytes > self._max_row_bytes:
                    raise _unusable(
                        f"row {self.rows_read + number + 1:,} of the Parquet file holds more than "
                        f"{self._max_row_bytes:,} bytes; a row is one conversation"
                    )
        self.unpacked_bytes += size + _ROW_BYTES * part.num_rows
        if self._max_unpacked_bytes is not None and self.unpacked_bytes > self._max_unpacked_bytes:
            raise _unusable(
                f"the rows of the Parquet file unpack to more than {self._max_unpacked_bytes:,} bytes, "
                f"the first {self.rows_read + part.num_rows:,} of {self.rows:,} already do"
            )

    def _check_count(self, group: int, read: int) -> None:
        promised = self._file.metadata.row_group(group).num_rows
        is_last = group == self._file.num_row_groups - 1
        if read == promised and not (is_last and self.rows_read != self.rows):
            return
        if read == promised:
            read, promised = self.rows_read, self.rows
            where = "the Parquet file"
        else:
            where = self._name(group)
        raise _unusable(f"{where} holds {read:,} rows, its footer promises {promised:,}; the file is damaged")

    def _name(self, group: int) -> str:
        return f"row group {group + 1:,} of {self._file.num_row_groups:,} of the Parquet file"

    def _unreadable(self, group: int, error: Exception) -> UnusableFileError:
        # Arrow has no class of its own for a codec it lacks. Its words only choose ours: they may quote the file.
        if isinstance(error, NotImplementedError) or _LACKING.search(str(error)):
            return _unusable(
                f"{self._name(group)} uses a compression or an encoding that cannot be read; use snappy or zstd"
            )
        return _unusable(f"{self._name(group)} cannot be read; the file is damaged")


def _after(batches: Iterator[pa.RecordBatch], done: int) -> Iterator[pa.RecordBatch]:
    """Leave out the first `done` rows."""
    for batch in batches:
        if done < batch.num_rows:
            yield batch.slice(done) if done else batch
        done = max(0, done - batch.num_rows)


def _check_frame(path: Path) -> None:
    """A Parquet file starts and ends with its mark; before the last one stands the size of the footer."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(4)
        file.seek(max(0, size - 8))
        tail = file.read(8)
    if _ENCRYPTED_MAGIC in (head, tail[4:]):
        raise _unusable("the Parquet file is encrypted; upload it without encryption")
    if head != _MAGIC:
        raise _unusable("the file is not a Parquet file")
    if size < 12 or tail[4:] != _MAGIC:
        raise _unusable("the end of the Parquet file is missing: it was cut off, or not written completely")
    if not 0 < int.from_bytes(tail[:4], "little") <= size - 12:
        raise _unusable("the footer of the Parquet file cannot be read; the file is damaged")


def _unusable(reason: str) -> UnusableFileError:
    return UnusableFileError(reason, format="parquet")
