"""Recognise what kind of file it is by its first bytes; the name's extension only helps with the wording."""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

import msgspec

from shared import typed
from shared.dataset.encodings import UTF8_MARK, is_utf8, likely_encoding, refuse_wide_encoding, wrong_encoding
from shared.dataset.errors import UnusableFileError

JSONL, JSON, CSV, TSV, PARQUET = "jsonl", "json", "csv", "tsv", "parquet"
PARQUET_MAGIC = b"PAR1"
TITLES = {JSONL: "JSON Lines", JSON: "JSON", CSV: "CSV", TSV: "a tab-separated table", PARQUET: "Parquet"}
SUPPORTED = "JSON Lines, a JSON array, CSV, TSV or Parquet, each also compressed by gzip or Zstandard"
# Prefix of the file -> (format, as a person calls it).
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PARE", "parquet", "an encrypted Parquet file"),
    (b"\x1f\x8b", "gzip", "a gzip archive within another archive"),
    (b"\x28\xb5\x2f\xfd", "zstd", "a Zstandard archive within another archive"),
    (b"PK\x03\x04", "zip", "a ZIP archive (or an Excel or Word file)"),
    (b"PK\x05\x06", "zip", "an empty ZIP archive"),
    (b"BZh", "bzip2", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "xz", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "a 7-Zip archive"),
    (b"\x04\x22\x4d\x18", "lz4", "an LZ4 archive"),
    (b"Rar!", "rar", "a RAR archive"),
    (b"ARROW1", "arrow", "an Arrow file"),
    (b"\xff\xff\xff\xff", "arrow", "an Arrow stream"),
    (b"Obj\x01", "avro", "an Avro file"),
    (b"ORC", "orc", "an ORC file"),
    (b"SQLite format 3\x00", "sqlite", "a SQLite database"),
    (b"%PDF", "pdf", "a PDF document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole", "an old Excel or Word file"),
    (b"version https://git-lfs", "git-lfs", "a Git LFS pointer, not the file itself; run `git lfs pull`"),
)
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_TAR_MAGIC = slice(257, 262)
_COLUMN_NAME = re.compile(
    r"(?i)(prompt|completion|instruction|input|output|response|question|answer|query|messages?|text|role|content|system"
    r"|user|assistant|conversations?|chosen|rejected|human|gpt|target|context|label|id)"
)
# Exporters wrap the rows as {"data": [{...}]}; {"data": ["..."]} is a row itself, and so is either with others below.
WRAPPER = re.compile(rb'\s*\{\s*"(?:data|dataset|rows|examples|train)"\s*:\s*\[\s*(?=\{)')
_MOST_HEADER_BYTES = 64 * 1024
_DELIMITERS = ",\t;|"


class Format(NamedTuple):
    """A format that can be read; delimiter: of a table's fields."""

    name: str
    delimiter: str = ""


def recognise(head: bytes, name: str) -> Format:
    """Say what format a file is in by its first bytes, unpacked.

    Raises: UnusableFileError: another format or another encoding than UTF-8, named in the reason.
    """
    if head.startswith(PARQUET_MAGIC):
        return Format(PARQUET)
    refuse_wide_encoding(head)
    for magic, format_name, title in _MAGIC:
        if head.startswith(magic):
            raise _not_supported(title, format_name)
    if head[_TAR_MAGIC] == b"ustar":
        raise _not_supported("a tar archive", "tar")
    text = head.removeprefix(UTF8_MARK).lstrip()
    if text.startswith(b"["):
        return Format(JSONL if _is_lists_on_lines(text) else JSON)
    if text.startswith(b"{"):
        return Format(JSON if _is_spread_over_lines(text) else JSONL)
    first_line = text.split(b"\n", 1)[0]
    if delimiter := _delimiter(first_line, name):
        if len(first_line) > _MOST_HEADER_BYTES:
            raise UnusableFileError(
                f"the first line, which should name a table's columns, is longer than {_MOST_HEADER_BYTES:,} bytes",
                format=CSV,
            )
        return Format(TSV if delimiter == "\t" else CSV, delimiter)
    if len(_BINARY.findall(head[:1024])) > 10:
        raise _not_supported("binary, in no known format", "binary")
    if text.startswith(b"<"):
        raise UnusableFileError(f"the file is HTML or XML, not {SUPPORTED}; was an error page saved?", format="markup")
    return Format(JSONL)


def _is_lists_on_lines(text: bytes) -> bool:
    """JSON Lines whose rows are lists (no layout, but the report should say so of each), not one array."""
    first, newline, second = text.partition(b"\n")
    return bool(newline) and second.lstrip()[:1] == b"[" and _is_json(first)


def _is_spread_over_lines(text: bytes) -> bool:
    """Objects printed for people, with line breaks within; read as lines, they would be thousands of broken rows.

    The first line of such a file is no value of its own, but what the lines make together goes on as JSON does.
    """
    first, newline, rest = text.partition(b"\n")
    if WRAPPER.match(text) and not (_is_json(first) and rest.strip()):
        return True
    if not newline or _is_json(first):
        return False
    stripped = first.rstrip()
    return stripped == b"{" or (stripped.endswith((b",", b"[", b"{", b":")) and rest.lstrip()[:1] in (b'"', b"{", b"]"))


def _is_json(line: bytes) -> bool:
    try:
        typed.decode(line, msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _delimiter(first_line: bytes, name: str) -> str | None:
    """The delimiter that a header has most of; an extension alone is believed only if the line has a delimiter."""
    beginning = first_line[:_MOST_HEADER_BYTES]
    if not is_utf8(beginning) and not is_utf8(first_line):
        if re.search(r"\.[ct]sv(\.|$)", name.lower()) and (encoding := likely_encoding(first_line)):
            raise wrong_encoding(encoding)
        return None
    line = beginning.decode(errors="ignore").rstrip("\r")
    counts = {delimiter: len(_fields(line, delimiter)) for delimiter in _DELIMITERS}
    delimiter = max(counts, key=lambda found: counts[found])
    fields = _fields(line, delimiter)
    is_header = all(map(str.strip, fields)) and any(_COLUMN_NAME.fullmatch(field.strip()) for field in fields)
    by_name = {"tsv": "\t", "csv": ","}.get(_extension(name))
    if len(fields) == 1:
        # A table of one column has no delimiter at all.
        return by_name if by_name and is_header else None
    return delimiter if is_header or by_name else None


def _fields(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _extension(name: str) -> str:
    parts = name.lower().rsplit("/", 1)[-1].split(".")
    return next((part for part in reversed(parts) if part not in ("gz", "gzip", "zst", "zstd")), "")


def _not_supported(title: str, format_name: str) -> UnusableFileError:
    return UnusableFileError(f"the file is {title}; it should be {SUPPORTED}", format=format_name)
