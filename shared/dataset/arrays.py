"""JSON values one after the other, cut out of a stream: a JSON array, or objects spread over several lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from shared import typed
from shared.dataset.errors import LineTooLongError, UnusableFileError
from shared.dataset.formats import WRAPPER
from shared.dataset.lines import BLOCK

# Reads over one value without making objects of it; what follows the value is an error whose place is told.
_skip_value = typed.decoder(msgspec.Raw).decode
_FOLLOWED = re.compile(r"trailing characters \(byte (\d+)\)\Z")
_BETWEEN = re.compile(rb"[\s,]*")
_FIRST_KEY = re.compile(rb'\{\s*("(?:[^"\\]|\\.){0,200}")')

_MOST_VALUES = 10_000  # at once, so that a file of nothing but tiny values is seen through early


class Cut(NamedTuple):
    """Values that lie whole in a buffer, as (start, end)."""

    buffer: bytes
    bounds: list[tuple[int, int]]


def opening_of(head: bytes) -> int:
    """How many bytes come before the first value: an array's bracket, or none."""
    if wrapper := WRAPPER.match(head):
        return wrapper.end()
    blank = len(head) - len(head.lstrip())
    return blank + 1 if head[blank : blank + 1] == b"[" else 0


def cut_values(head: bytes, stream: Iterator[bytes], max_value_bytes: int) -> Iterator[Cut]:
    """Cut the values out of a stream that begins with `head`.

    A value that is no valid JSON is cut out as well, up to where the next one begins, for whoever counts such rows.

    Raises: LineTooLongError: a value goes on beyond max_value_bytes. UnusableFileError: the file ends within a value
    or without the closing bracket, or goes on behind it, or no next value can be made out.
    """
    opening = opening_of(head)
    return _Cutter(head, opening, stream, max_value_bytes).cuts()


class _Cutter:
    def __init__(self, head: bytes, opening: int, stream: Iterator[bytes], max_value_bytes: int) -> None:
        self._buffer = head
        self._at = opening
        self._is_array = opening > 0
        self._stream = stream
        self._most = max_value_bytes
        self._rows = 0
        self._has_ended = False
        self._next_key: re.Pattern[bytes] | None = None

    def cuts(self) -> Iterator[Cut]:
        """Yield what is whole, buffer by buffer."""
        while True:
            bounds: list[tuple[int, int]] = []
            closed = self._fill(bounds)
            if bounds:
                yield Cut(self._buffer, bounds)
            if closed:
                self._check_nothing_follows()
                return
            if len(bounds) == _MOST_VALUES:
                continue
            if self._has_ended:
                if rest := self._last_value():
                    yield rest
                return
            self._read_on()

    def _fill(self, bounds: list[tuple[int, int]]) -> bool:
        """Gather the bounds of all values that lie whole in the buffer. Returns: whether the array was closed."""
        buffer, view = self._buffer, memoryview(self._buffer)
        while True:
            self._at = _BETWEEN.match(buffer, self._at).end()  # type: ignore[union-attr]
            if self._at >= len(buffer):
                return False
            if self._is_array and buffer[self._at] == 0x5D:
                self._at += 1
                return True
            if self._next_key is None and (key := _FIRST_KEY.match(buffer, self._at)):
                self._next_key = re.compile(rb"\{\s*" + re.escape(key[1]) + rb"\s*:")
            end = self._end_of_value(view)
            if end is None:
                return False
            if end - self._at > self._most:
                raise LineTooLongError
            bounds.append((self._at, end))
            self._rows += 1
            self._at = end
            if len(bounds) == _MOST_VALUES:
                return False

    def _end_of_value(self, view: memoryview) -> int | None:
        """Where the value at hand ends, or the next one begins if it is broken; None: more is needed to tell."""
        try:
            _skip_value(view[self._at :])
        except RecursionError:
            return self._next_value()
        except msgspec.DecodeError as fault:
            if followed := _FOLLOWED.search(str(fault)):
                return self._at + int(followed[1]) - 1
            if "truncated" in str(fault) and self._can_wait:
                return None
            return self._next_value()
        return None  # the buffer ends with the value: a number may go on, an array must

    @property
    def _can_wait(self) -> bool:
        """Whether what is missing may still come. Where a bracket is forgotten, a value swallows those behind it."""
        return not self._has_ended and len(self._buffer) - self._at <= self._most

    def _next_value(self) -> int | None:
        """Find where a broken value ends: behind it, one begins with the same key as the first one."""
        if self._next_key is None:
            if self._has_ended:
                return None
            raise UnusableFileError(
                f"row {self._row:,} of the JSON file is no valid JSON, and where the next row begins cannot be made out"
            )
        for begins in self._next_key.finditer(self._buffer, self._at + 1):
            end = begins.start()
            while self._buffer[end - 1] in b" \t\r\n":
                end -= 1
            if self._buffer[end - 1] == 0x2C:
                return end - 1
            if not self._is_array and end < begins.start():
                return end
        return None

    @property
    def _row(self) -> int:
        return self._rows + 1

    def _read_on(self) -> None:
        """Read as much again as is waiting, so that a long value is not looked at a thousand times."""
        rest = self._buffer[self._at :]
        if len(rest) > self._most:
            raise LineTooLongError
        parts = [rest]
        size = 0
        for block in self._stream:
            parts.append(block)
            size += len(block)
            if size >= min(max(len(rest), 64 * 1024), BLOCK):
                break
        self._buffer = b"".join(parts)
        self._at = 0
        self._has_ended = size == 0

    def _last_value(self) -> Cut | None:
        """What is left at the end of the file: nothing, or the last of several values. Raises: UnusableFileError."""
        rest = self._buffer[self._at :].strip()
        if rest and not self._is_array:
            return Cut(rest, [(0, len(rest))])
        if self._is_array:
            raise UnusableFileError(
                f"the JSON array is cut off {'in' if rest else 'after'} row {self._row if rest else self._rows:,}: the "
                "file ends before the array's closing bracket; upload it again"
            )
        return None

    def _check_nothing_follows(self) -> None:
        """A wrapper's own closing brace and its other fields may follow; another value may not."""
        rest = self._buffer[self._at :]
        while not rest.strip():
            block = next(self._stream, None)
            if block is None:
                return
            rest = block
        if rest.lstrip()[:1] not in (b"}", b","):
            raise UnusableFileError(
                f"the JSON array ends after row {self._rows:,}, but the file goes on behind its closing bracket"
            )
