"""One file as a stream: counted, unpacked, and its beginning looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import IO

from shared.dataset import compression
from shared.dataset.formats import PARQUET_MAGIC
from shared.dataset.lines import blocks
from shared.dataset.options import PrepareOptions

READ_BYTES = 1024 * 1024
_HEAD_BYTES = 64 * 1024


def read_blocks(source: IO[bytes]) -> Iterator[bytes]:
    """Read a file, a pipe or a terminal to its end."""
    while block := source.read(READ_BYTES):
        yield block


class Input:
    """A file that is read once, block by block.

    compression, head and stream: known after `open`; head is the unpacked beginning, stream all that follows it.
    """

    def __init__(self, source: Iterable[bytes], name: str, options: PrepareOptions) -> None:
        self.name = name
        self.bytes_read = 0
        self.compression: str | None = None
        self.head = b""
        self.stream: Iterator[bytes] = iter(())
        self._source = source
        self._options = options

    def open(self) -> None:
        """Read the file's beginning. Raises: UnusableFileError: it is packed, and what it holds cannot be unpacked."""
        self.stream = self._counted()
        self._read_head()
        self.compression = compression.recognise(self.head)
        if self.compression:
            self.stream = compression.unpack(self.compression, chain((self.head,), self.stream), self._options)
            self._read_head()

    @property
    def is_parquet(self) -> bool:
        """Whether the content, unpacked, is a Parquet file."""
        return self.head.startswith(PARQUET_MAGIC)

    def content(self) -> Iterator[bytes]:
        """All of it, unpacked."""
        return chain((self.head,), self.stream)

    def _counted(self) -> Iterator[bytes]:
        for block in blocks(self._source):
            self.bytes_read += len(block)
            yield block

    def _read_head(self) -> None:
        """The first block, or as many small ones as it takes to recognise the file."""
        head = bytearray()
        for block in self.stream:
            head += block
            if head.startswith(PARQUET_MAGIC) or (len(head) >= _HEAD_BYTES and self._is_enough(head, block)):
                break
        self.head = bytes(head)

    def _is_enough(self, head: bytearray, block: bytes) -> bool:
        """Whether a line, at least, or the beginning of an array is there."""
        return b"\n" in block or head[:_HEAD_BYTES].lstrip()[:1] == b"[" or len(head) > self._options.max_line_bytes
