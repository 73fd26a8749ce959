"""Parquet files as nobody's library writes them: every size, count and offset can lie.

A file here has flat columns of required UTF-8 texts, pages of version 1, one row group. The footer and the page headers
are Thrift's compact protocol, written by hand (format: apache/parquet-format, parquet.thrift).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

I32, I64, BINARY, LIST, STRUCT = 5, 6, 8, 9, 12
UNCOMPRESSED, SNAPPY, GZIP, ZSTD, LZO = 0, 1, 2, 6, 3
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
BYTE_ARRAY, UTF8 = 6, 0
REQUIRED, OPTIONAL, REPEATED = 0, 1, 2
DATA_PAGE, DICTIONARY_PAGE = 0, 2

Fields = dict[int, tuple[int, Any]]


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def zigzag(number: int) -> bytes:
    return varint((number << 1 ^ number >> 63) & (1 << 64) - 1)


def thrift(kind: int, value: Any) -> bytes:
    """One value in the compact protocol; a struct is {field number: (kind, value)}, a list (kind, values)."""
    if kind in (I32, I64):
        return zigzag(value)
    if kind == BINARY:
        data = value.encode() if isinstance(value, str) else value
        return varint(len(data)) + data
    if kind == LIST:
        item, values = value
        count = bytes([len(values) << 4 | item]) if len(values) < 15 else bytes([0xF0 | item]) + varint(len(values))
        return count + b"".join(thrift(item, v) for v in values)
    out, last = b"", 0
    for number, (item, v) in sorted(value.items()):
        out += bytes([number - last << 4 | item]) + thrift(item, v)
        last = number
    return out + b"\x00"


def plain(*texts: bytes) -> bytes:
    """Texts as a PLAIN page holds them."""
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def repeated(index: int, count: int) -> bytes:
    """The same dictionary entry many times: a few bytes."""
    return b"\x01" + varint(count << 1) + bytes([index])


def compress(data: bytes, codec: int) -> bytes:
    name = {ZSTD: "zstd", GZIP: "gzip", SNAPPY: "snappy"}.get(codec)
    packed: bytes = pa.compress(data, name, asbytes=True) if name else data
    return packed


@dataclass
class Page:
    """`data` as it is before compression; unpacked_bytes: what the header claims."""

    data: bytes
    rows: int
    codec: int = UNCOMPRESSED
    encoding: int = PLAIN
    kind: int = DATA_PAGE
    unpacked_bytes: int | None = None

    def encode(self) -> bytes:
        packed = compress(self.data, self.codec)
        unpacked = len(self.data) if self.unpacked_bytes is None else self.unpacked_bytes
        header: Fields = {1: (I32, self.kind), 2: (I32, unpacked), 3: (I32, len(packed))}
        if self.kind == DICTIONARY_PAGE:
            header[7] = (STRUCT, {1: (I32, self.rows), 2: (I32, PLAIN)})
        else:
            counts: Fields = {1: (I32, self.rows), 2: (I32, self.encoding), 3: (I32, RLE), 4: (I32, RLE)}
            header[5] = (STRUCT, counts)
        return thrift(STRUCT, header) + packed


@dataclass
class Column:
    name: str
    pages: Sequence[bytes]  # encoded
    codec: int = UNCOMPRESSED
    rows: int = 0
    dictionary: bytes = b""
    crypto: bool = False
    body: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.body = self.dictionary + b"".join(self.pages)

    def footer(self, at: int) -> Fields:
        metadata: Fields = {
            1: (I32, BYTE_ARRAY),
            2: (LIST, (I32, [PLAIN, RLE, RLE_DICTIONARY])),
            3: (LIST, (BINARY, [self.name])),
            4: (I32, self.codec),
            5: (I64, self.rows),
            6: (I64, len(self.body)),
            7: (I64, len(self.body)),
            9: (I64, at + len(self.dictionary)),
        }
        if self.dictionary:
            metadata[11] = (I64, at)
        found: Fields = {2: (I64, at), 3: (STRUCT, metadata)}
        return found | {8: (STRUCT, {1: (STRUCT, {})})} if self.crypto else found


def element(name: str, *, occurs: int = REQUIRED, children: int = 0, converted: int | None = None) -> Fields:
    """An element of a schema: a text, or what holds the elements after it. converted: a ConvertedType."""
    found: Fields = {3: (I32, occurs), 4: (BINARY, name)}
    found |= {5: (I32, children)} if children else {1: (I32, BYTE_ARRAY), 6: (I32, UTF8)}
    return found if converted is None else found | {6: (I32, converted)}


def levels(*numbers: int) -> bytes:
    """Levels as a page of version 1 holds them, each a run of its own."""
    runs = b"".join(bytes([2, number]) for number in numbers)
    return len(runs).to_bytes(4, "little") + runs


def parquet(
    columns: Sequence[Column],
    rows: int,
    *,
    footer_rows: int | None = None,
    size: int | None = None,
    schema: Sequence[Fields] = (),
) -> bytes:
    """A file of one row group. footer_rows: a lie about the rows of the file; size: about the footer's bytes.

    schema: one field with all that is in it, instead of required texts.
    """
    body, chunks = b"PAR1", []
    for column in columns:
        chunks.append(column.footer(len(body)))
        body += column.body
    root: Fields = {4: (BINARY, "schema"), 5: (I32, 1 if schema else len(columns))}
    elements = [root, *(schema or [element(column.name) for column in columns])]
    group: Fields = {1: (LIST, (STRUCT, chunks)), 2: (I64, len(body)), 3: (I64, rows)}
    footer = thrift(
        STRUCT,
        {
            1: (I32, 1),
            2: (LIST, (STRUCT, elements)),
            3: (I64, rows if footer_rows is None else footer_rows),
            4: (LIST, (STRUCT, [group])),
        },
    )
    return body + footer + (len(footer) if size is None else size).to_bytes(4, "little", signed=size == -1) + b"PAR1"


def texts(name: str, *values: bytes) -> Column:
    """An honest column."""
    return Column(name, [Page(plain(*values), len(values)).encode()], rows=len(values))


def written(table: pa.Table, **options: Any) -> bytes:
    """A table as pyarrow writes it."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return sink.getvalue().to_pybytes()


MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def chats(count: int, *, words: int = 20, **options: Any) -> bytes:
    """Conversations of two turns, as pyarrow writes them."""
    rows = [
        [
            {"role": "user", "content": f"Question {n}? " * words},
            {"role": "assistant", "content": f"Answer {n}. " * words},
        ]
        for n in range(count)
    ]
    return written(pa.table({"messages": pa.array(rows, MESSAGES)}), **options)
