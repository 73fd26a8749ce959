"""Conversations as people's files hold them: every format, packed in every way."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from typing import Any

from backports import zstd

Rows = list[dict[str, Any]]


def _json(value: object, **how: Any) -> str:
    return json.dumps(value, ensure_ascii=False, **how)


def jsonl(rows: Rows) -> bytes:
    return "".join(_json(row) + "\n" for row in rows).encode()


def jsonl_crlf(rows: Rows) -> bytes:
    return b"\xef\xbb\xbf" + "".join(_json(row) + "\r\n" for row in rows).encode()


def array(rows: Rows) -> bytes:
    return _json(rows, separators=(",", ":")).encode()


def array_lines(rows: Rows) -> bytes:
    return ("[\n" + ",\n".join(map(_json, rows)) + "\n]\n").encode()


def array_indented(rows: Rows) -> bytes:
    return ("\ufeff" + _json(rows, indent=4)).encode()


def wrapped(rows: Rows) -> bytes:
    return _json({"data": rows, "version": "1.0"}, indent=1).encode()


def spread(rows: Rows) -> bytes:
    return "".join(_json(row, indent=2) + "\n" for row in rows).encode()


def _table(rows: Rows, delimiter: str) -> bytes:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(columns)
    for row in rows:
        cells = [row.get(column, "") for column in columns]
        writer.writerow(["" if cell is None else cell if isinstance(cell, str) else _json(cell) for cell in cells])
    return out.getvalue().encode()


def csv_commas(rows: Rows) -> bytes:
    return _table(rows, ",")


def csv_semicolons(rows: Rows) -> bytes:
    return _table(rows, ";")


def tsv(rows: Rows) -> bytes:
    return _table(rows, "\t")


def parquet(rows: Rows, **how: Any) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, **how)
    return out.getvalue()


# Format as the report names it -> ways to write it.
FORMATS: dict[str, list[Callable[[Rows], bytes]]] = {
    "jsonl": [jsonl, jsonl_crlf],
    "json": [array, array_lines, array_indented, wrapped, spread],
    "csv": [csv_commas, csv_semicolons],
    "tsv": [tsv],
    "parquet": [parquet],
}


def _plain(data: bytes) -> bytes:
    return data


def _members(data: bytes) -> bytes:
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:]) + b"\0" * 10


def _frames(data: bytes) -> bytes:
    half = len(data) // 2
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00note"
    return skippable + zstd.compress(data[:half]) + zstd.compress(data[half:])


PACKED: dict[str | None, list[Callable[[bytes], bytes]]] = {
    None: [_plain],
    "gzip": [gzip.compress, _members],
    "zstd": [zstd.compress, _frames],
}
