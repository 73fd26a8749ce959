"""Read the rows of a Parquet file a few at a time, whatever the size of its row groups.

Import and use this in a process of its own (see isolated.py): the file decides what it does. A page may claim or unpack
to gigabytes; the memory limit of the process ends that.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from shared.dataset.errors import UnusableFileError
from shared.dataset.parquet.columns import choose_columns
from shared.dataset.parquet.faults import DamagedError, EncryptedError, LackingError, TooLargeError
from shared.dataset.parquet.footer import RowGroup, read_at, read_footer
from shared.dataset.parquet.leaves import LeafReader
from shared.dataset.parquet.rows import rows_of

Rows = list[dict[str, Any]]

# Small batches are decoded, made into objects and used while they are in the processor's cache: it costs a third less.
_BATCH_BYTES = 256 * 1024
_BATCH_ROWS = 512
_BUFFERED_BYTES = 16 * 1024 * 1024  # of all columns together, where rows turn out larger than expected
_ROW_BYTES = 100  # what a row counts beside its values: about what JSON takes. Rows of nothing are not free
# What is missing, of another kind or too large in the footer or in a page's header shows where it is used.
_DAMAGED = (
    DamagedError,
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
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
        self._path = path
        with path.open("rb", buffering=0) as file:
            _check_frame(file)
            try:
                self._footer = read_footer(file)
                self._root, self._leaves, self.skipped = choose_columns(self._footer)
            except MemoryError:
                raise _unusable("the footer of the Parquet file needs more memory than there is") from None
            except EncryptedError:
                raise _encrypted() from None
            except _DAMAGED:
                raise _unusable("the footer of the Parquet file cannot be read; the file is damaged") from None
        self._max_row_bytes = max_row_bytes
        self._max_unpacked_bytes = max_unpacked_bytes
        self._row_bytes = 1.0  # as last measured
        self.rows = self._footer.rows
        self.rows_read = 0
        self.unpacked_bytes = 0

    def __iter__(self) -> Iterator[Rows]:
        with self._path.open("rb", buffering=0) as file:
            for number, group in enumerate(self._footer.groups):
                before = self.rows_read
                try:
                    yield from self._group(file, group)
                except EncryptedError:
                    raise _encrypted() from None
                except LackingError:
                    raise _unusable(
                        f"{self._name(number)} uses a compression or an encoding that cannot be read; "
                        "use snappy or zstd"
                    ) from None
                except _DAMAGED:
                    raise _unusable(f"{self._name(number)} cannot be read; the file is damaged") from None
                self._check_count(number, self.rows_read - before)

    # One row group

    def _group(self, file: BinaryIO, group: RowGroup) -> Iterator[Rows]:
        chunks = self._footer.chunks(group, self._leaves)
        readers = [
            LeafReader(file, chunk, leaf, self._max_row_bytes) for chunk, leaf in zip(chunks, self._leaves, strict=True)
        ]
        expected = sum(chunk.unpacked for chunk in chunks) / max(1, group.rows)  # it may lie, or not know of repetition
        while rows := self._next(readers, self._fitting(expected)):
            yield rows

    def _fitting(self, row_bytes: float) -> int:
        """Rows for the next batch."""
        return max(1, min(_BATCH_ROWS, int(_BATCH_BYTES / max(1.0, row_bytes, self._row_bytes))))

    def _next(self, readers: list[LeafReader], wanted: int) -> Rows:
        try:
            ready = [reader.fill(wanted, _BUFFERED_BYTES // len(readers)) for reader in readers]
            count = min(ready)
            if not count and any(ready):
                raise DamagedError  # a column is shorter than the others
            taken = [reader.take(count) for reader in readers]
            rows = rows_of(self._root, dict(zip(self._leaves, (levels for levels, _ in taken), strict=True)))
        except TooLargeError:
            raise self._too_large(1) from None
        except MemoryError:
            raise _unusable(
                f"row {self.rows_read + 1:,} of the Parquet file, or the page it is in, needs more memory than there "
                "is; write smaller pages, or JSON Lines"
            ) from None
        self._check_size(rows, sum(size for _, size in taken))
        self.rows_read += len(rows)
        return rows

    # Limits

    def _check_size(self, rows: Rows, size: int) -> None:
        self._row_bytes = size / max(1, len(rows))
        if size > self._max_row_bytes:
            for number, row in enumerate(rows, 1):
                if _measured(row) > self._max_row_bytes:
                    raise self._too_large(number)
        self.unpacked_bytes += size + _ROW_BYTES * len(rows)
        if self._max_unpacked_bytes is not None and self.unpacked_bytes > self._max_unpacked_bytes:
            raise _unusable(
                f"the rows of the Parquet file unpack to more than {self._max_unpacked_bytes:,} bytes, "
                f"the first {self.rows_read + len(rows):,} of {self.rows:,} already do"
            )

    def _too_large(self, number: int) -> UnusableFileError:
        return _unusable(
            f"row {self.rows_read + number:,} of the Parquet file holds more than {self._max_row_bytes:,} bytes; "
            "a row is one conversation"
        )

    def _check_count(self, number: int, read: int) -> None:
        promised = self._footer.groups[number].rows
        is_last = number == len(self._footer.groups) - 1
        if read == promised and not (is_last and self.rows_read != self.rows):
            return
        if read == promised:
            read, promised = self.rows_read, self.rows
            where = "the Parquet file"
        else:
            where = self._name(number)
        raise _unusable(f"{where} holds {read:,} rows, its footer promises {promised:,}; the file is damaged")

    def _name(self, number: int) -> str:
        return f"row group {number + 1:,} of {len(self._footer.groups):,} of the Parquet file"


def _measured(value: Any) -> int:
    """About what a value takes in the file."""
    if isinstance(value, dict):
        return sum(map(_measured, value.values()))
    if isinstance(value, list):
        return sum(map(_measured, value))
    return len(value.encode() if isinstance(value, str) else value) if isinstance(value, str | bytes) else 8


def _check_frame(file: BinaryIO) -> None:
    """A Parquet file starts and ends with its mark; before the last one stands the size of the footer."""
    size = file.seek(0, io.SEEK_END)
    head, tail = read_at(file, 0, 4), read_at(file, max(0, size - 8), 8)
    if _ENCRYPTED_MAGIC in (head, tail[4:]):
        raise _encrypted()
    if head != _MAGIC:
        raise _unusable("the file is not a Parquet file")
    if size < 12 or tail[4:] != _MAGIC:
        raise _unusable("the end of the Parquet file is missing: it was cut off, or not written completely")


def _encrypted() -> UnusableFileError:
    return _unusable("the Parquet file is encrypted; upload it without encryption")


def _unusable(reason: str) -> UnusableFileError:
    return UnusableFileError(reason, format="parquet")
