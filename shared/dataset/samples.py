"""A few of the kept conversations, for people to look at: a random choice that is the same every time."""

from __future__ import annotations

import re
from bisect import insort

from shared.dataset.rows import Message, Row, decode_row

SHOWN_CHARACTERS = 600
SHOWN_MESSAGES = 8
_SMALL_BYTES = 16 * 1024
_SLACK = 64  # the words about what is missing are shorter
_REST = re.compile(r"\n?… ([\d,]+ (?:characters?|messages?) more(?:, and [\d,]+ messages? more)?)\Z")


class Samples:
    """Keeps the rows with the lowest keys.

    With keys that are uniformly random digests of the rows this is a random sample, the same for the same rows in any
    order. Of several rows with one key the first is kept. Memory is bounded: long texts are cut when a row is kept.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._kept: list[tuple[bytes, bytes | Row]] = []
        self._limit: bytes | None = None if count > 0 else b""

    def offer(self, key: bytes, row: bytes | Row) -> None:
        """Keep a row if its key is among the lowest. Cheap when it is not: one comparison.

        key: random bytes that no other choice was made by, or else the sample is of one side of that choice only (the
        split puts the lowest digests into the test set). row: as it is written, or decoded.
        """
        if self._limit is not None and key >= self._limit:
            return
        if any(key == kept for kept, _ in self._kept):
            return
        insort(self._kept, (key, _bounded(row)), key=lambda pair: pair[0])
        del self._kept[self.count :]
        if len(self._kept) == self.count:
            self._limit = self._kept[-1][0]

    @property
    def rows(self) -> list[Row]:
        """The kept rows in the order of their keys, long texts cut."""
        return [cut_row(decode_row(row) if isinstance(row, bytes) else row) for _, row in self._kept]


def _bounded(row: bytes | Row) -> bytes | Row:
    if isinstance(row, bytes):
        return row if len(row) <= _SMALL_BYTES else cut_row(decode_row(row))
    return cut_row(row)


def cut_row(row: Row) -> Row:
    """The messages of a row, as many and as long as a person reads; each cut says what is missing. Idempotent."""
    messages = [Message(cut(message.content, SHOWN_CHARACTERS), message.role) for message in row.messages]
    rest = len(messages) - SHOWN_MESSAGES
    if rest > 0:
        messages = messages[:SHOWN_MESSAGES]
        last = messages[-1]
        joint = ", and" if _REST.search(last.content) else "\n…"
        last.content += f"{joint} {rest:,} {'message' if rest == 1 else 'messages'} more"
    return Row(messages=messages)


def cut(text: str, limit: int) -> str:
    """Cut a text; a text that is longer by less than the words that would say so stays whole.

    >>> cut("a" * 5000, 3)
    'aaa\\n… 4,997 characters more'
    """
    rest = len(text) - limit
    if rest <= _SLACK or (rest <= 2 * _SLACK and _REST.search(text, limit)):
        return text
    return f"{text[:limit]}\n… {rest:,} characters more"


def split_rest(text: str) -> tuple[str, str]:
    """Divide a text that was cut into what is left of it and the words that say what is missing ("" when nothing is).

    >>> split_rest("aaa\\n… 4,997 characters more")
    ('aaa', '… 4,997 characters more')
    """
    found = _REST.search(text)
    return (text[: found.start()], f"… {found[1]}") if found else (text, "")
