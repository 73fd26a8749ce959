"""UTF-8 or not, and if not, what else a file is likely to be."""

from __future__ import annotations

import codecs
import re

from shared.dataset.errors import UnusableFileError
from shared.dataset.lines import Span

UTF8_MARK = codecs.BOM_UTF8
BYTE_ORDER_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF32_LE, "UTF-32 (little endian)"),
    (codecs.BOM_UTF32_BE, "UTF-32 (big endian)"),
    (codecs.BOM_UTF16_LE, "UTF-16 (little endian)"),
    (codecs.BOM_UTF16_BE, "UTF-16 (big endian)"),
)
_EAST_ASIAN = (("shift_jis", "Shift JIS"), ("euc_kr", "EUC-KR"), ("gb18030", "GB 18030"))
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")


class EncodingWatch:
    """Tells a UTF-8 file with some broken lines from a file in another encoding.

    The latter has lines that are not UTF-8 and not one that is, but for plain ASCII, which is the same in both.
    """

    _EXAMPLE_BYTES = 4096

    def __init__(self) -> None:
        self._saw_utf8 = False
        self._example = b""

    def look_at(self, span: Span, *, has_broken: bool) -> None:
        """Look at whole lines; has_broken: one of them at least was found not to be UTF-8."""
        if self._saw_utf8 or span.buffer.isascii():
            return
        lines = span.buffer[span.start : span.end]
        if not has_broken:
            self._saw_utf8 = not lines.isascii()
            return
        wide = [line for line in lines.split(b"\n") if not line.isascii()]
        self._saw_utf8 = any(map(is_utf8, wide))
        if not self._saw_utf8 and not self._example and wide and (high := _HIGH_BYTE.search(wide[0])):
            self._example = wide[0][high.start() :][: self._EXAMPLE_BYTES]

    def check(self, broken: int, rows: int) -> None:
        """Judge the file by what was seen: most rows broken, or a good part of them and not just one or two.

        Raises: UnusableFileError: it is in another encoding, which is named.
        """
        many = broken * 2 >= rows or (broken >= 3 and broken * 10 >= rows)
        if not self._example or self._saw_utf8 or not many:
            return
        if encoding := likely_encoding(self._example):
            raise wrong_encoding(encoding)


def refuse_wide_encoding(head: bytes) -> None:
    """Refuse a file that starts like UTF-16 or UTF-32. Raises: UnusableFileError."""
    by_mark = next((encoding for mark, encoding in BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if encoding := by_mark or _encoding_by_zeros(head):
        raise wrong_encoding(encoding)


def wrong_encoding(encoding: str) -> UnusableFileError:
    """The error for a file that is not UTF-8."""
    return UnusableFileError(f"the file looks like {encoding}; save it as UTF-8 and upload it again", format="jsonl")


def is_utf8(line: bytes) -> bool:
    """Whether bytes are valid UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def likely_encoding(sample: bytes) -> str | None:
    """Guess the encoding of bytes that are not UTF-8, or None where they are no text in any likely one.

    East Asian text comes in runs of high bytes, Western text as single ones between letters.
    """
    if b"\xff" in sample or b"\xfe" in sample:  # letters of Latin-1, but hardly ever used; common in binary data
        return None
    runs = re.findall(rb"[\x80-\xff]+", sample)
    if sum(map(len, runs)) >= 2 * len(runs):
        return next((title for encoding, title in _EAST_ASIAN if _decodes(sample, encoding)), None)
    return "Windows-1252" if re.search(rb"[\x80-\x9f]", sample) else "Latin-1 (ISO 8859-1)"


def _decodes(sample: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)  # not final: the sample may end within a character
    except UnicodeDecodeError:
        return False
    return True


def _encoding_by_zeros(head: bytes) -> str | None:
    """UTF-16 and UTF-32 without a mark: JSON starts with ASCII, so every second (or three of four) bytes is zero."""
    zeros = "".join("0" if byte == 0 else "x" for byte in head[:4])
    return {
        "x000": "UTF-32 (little endian)",
        "000x": "UTF-32 (big endian)",
        "x0x0": "UTF-16 (little endian)",
        "0x0x": "UTF-16 (big endian)",
    }.get(zeros)
