"""Blocks of bytes in, spans of whole lines out, without copying more than a block's first line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shared.dataset.errors import LineTooLongError

BLOCK = 4 * 1024 * 1024


class Span(NamedTuple):
    """buffer[start:end] holds whole lines; only the file's last line may lack its newline."""

    buffer: bytes
    start: int
    end: int


def blocks(source: Iterable[bytes]) -> Iterator[bytes]:
    """Cut blocks that are too large, leave out empty ones."""
    for data in source:
        chunk = data if isinstance(data, bytes) else bytes(data)
        if len(chunk) <= BLOCK:
            if chunk:
                yield chunk
            continue
        for start in range(0, len(chunk), BLOCK):
            yield chunk[start : start + BLOCK]


def whole_lines(source: Iterable[bytes], max_line_bytes: int) -> Iterator[Span]:
    """Yield spans of whole lines from blocks that are cut anywhere.

    Raises: LineTooLongError: a line goes on beyond max_line_bytes; raised before the rest of it is read.
    """
    tail = bytearray()
    for block in source:
        first = block.find(b"\n") + 1
        if not first:
            tail += block
        else:
            start = 0
            if tail:
                tail += block[:first]
                yield Span(bytes(tail), 0, len(tail))
                start = first
            last = block.rfind(b"\n") + 1
            if start < last:
                yield Span(block, start, last)
            tail = bytearray(block[last:])
        if len(tail) > max_line_bytes:
            raise LineTooLongError
    if tail:
        yield Span(bytes(tail), 0, len(tail))
