"""Recognise what kind of file it is by its first bytes; the name's extension only helps with the wording."""

from __future__ import annotations

import re

from shared.dataset.encodings import UTF8_MARK, refuse_wide_encoding
from shared.dataset.errors import UnusableFileError

# Prefix of the file -> (format, as a person calls it).
MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "parquet", "a Parquet file"),
    (b"\x1f\x8b", "gzip", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "zstd", "a Zstandard archive"),
    (b"PK\x03\x04", "zip", "a ZIP archive (or an Excel or Word file)"),
    (b"PK\x05\x06", "zip", "an empty ZIP archive"),
    (b"BZh", "bzip2", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "xz", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "a 7-Zip archive"),
    (b"ARROW1", "arrow", "an Arrow file"),
    (b"\xff\xff\xff\xff", "arrow", "an Arrow stream"),
    (b"Obj\x01", "avro", "an Avro file"),
    (b"ORC", "orc", "an ORC file"),
    (b"SQLite format 3\x00", "sqlite", "a SQLite database"),
    (b"%PDF", "pdf", "a PDF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole", "an old Excel or Word file"),
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_COLUMN_NAMES = re.compile(
    rb"(?i)\b(prompt|completion|instruction|input|output|response|question|answer|messages|text|role|content|system|user"
    rb"|assistant|conversations?)\b"
)


def check_format(head: bytes, name: str) -> str:
    """Say what format the first bytes of a file are in.

    Returns: "jsonl"; anything else is refused for now.
    Raises: UnusableFileError: another format or another encoding than UTF-8, named in the reason.
    """
    refuse_wide_encoding(head)
    for magic, format_name, title in MAGIC:
        if head.startswith(magic):
            raise _not_supported(title, format_name)
    text = head.removeprefix(UTF8_MARK).lstrip()
    first_line = text.split(b"\n", 1)[0]
    if text.startswith(b"["):
        raise _not_supported("one JSON array", "json")
    if text.startswith(b"{"):
        _refuse_pretty_printed(text, first_line)
        return "jsonl"
    if separator := _separator(first_line, name):
        raise _not_supported("a table in text form (CSV)" if separator == "csv" else "a tab-separated table", separator)
    if len(_BINARY.findall(head[:1024])) > 10:
        raise UnusableFileError("the file is binary, not text; only JSON Lines is supported", format="binary")
    if text.startswith(b"<"):
        raise UnusableFileError("the file is HTML or XML, not JSON Lines; was an error page saved?", format="markup")
    return "jsonl"


def _separator(first_line: bytes, name: str) -> str | None:
    """A header names columns; an extension alone is believed only if the line has the separator."""
    extension = name.lower().rsplit(".", 1)[-1]
    for separator, format_name in ((b"\t", "tsv"), (b",", "csv"), (b";", "csv")):
        fields = first_line.split(separator)
        if len(fields) > 1 and (extension in ("csv", "tsv") or all(_COLUMN_NAMES.search(f) for f in fields[:2])):
            return format_name
    return None


def _refuse_pretty_printed(text: bytes, first_line: bytes) -> None:
    """A document spread over lines would otherwise be reported as thousands of broken rows."""
    if first_line.strip() == b"{" and text.count(b"\n") > 1:
        raise UnusableFileError(
            "the JSON is spread over several lines; JSON Lines needs each conversation on one line", format="json"
        )


def _not_supported(title: str, format_name: str) -> UnusableFileError:
    return UnusableFileError(
        f"the file is {title}; that is not supported yet, only JSON Lines (one conversation on each line) is",
        format=format_name,
    )
