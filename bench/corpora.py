"""The rows of a JSON Lines corpus in another format: `python -m bench.corpora FORMAT SOURCE TARGET`."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BLOCK = 1024 * 1024
ROW_GROUP = 2000  # rows; about 18 MB of this corpus


def gzipped(source: Path, target: Path) -> None:
    """Compress as `gzip` does."""
    with source.open("rb") as plain, gzip.open(target, "wb", compresslevel=6) as packed:
        shutil.copyfileobj(plain, packed, BLOCK)


def zstandard(source: Path, target: Path) -> None:
    """Compress as `zstd` does, level 3."""
    from backports import zstd

    with source.open("rb") as plain, zstd.open(target, "wb", level=3) as packed:
        shutil.copyfileobj(plain, packed, BLOCK)


def array(source: Path, target: Path) -> None:
    """Write one JSON array, a row on each line."""
    with source.open("rb") as lines, target.open("wb") as out:
        before = b"[\n"
        for line in lines:
            out.write(before + line.rstrip(b"\n"))
            before = b",\n"
        out.write(b"\n]\n")


def table(source: Path, target: Path) -> None:
    """Write CSV as pandas' to_csv would: the messages as JSON in their column; nothing where a row has none."""
    with target.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["prompt", "messages", "prompt_id"])
        for row in _rows(source):
            messages = row.get("messages")
            text = json.dumps(messages, ensure_ascii=False) if messages is not None else ""
            writer.writerow([row["prompt"], text, row["prompt_id"]])


def parquet(source: Path, target: Path) -> None:
    """Write Parquet with a list of structs, Snappy, and row groups of 2,000 rows."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    message = pa.struct([("content", pa.string()), ("role", pa.string())])
    schema = pa.schema([("prompt", pa.string()), ("messages", pa.list_(message)), ("prompt_id", pa.string())])
    with pq.ParquetWriter(target, schema) as writer:
        group: list[dict[str, Any]] = []
        for row in _rows(source):
            group.append(row)
            if len(group) == ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(group, schema))
                group.clear()
        if group:
            writer.write_table(pa.Table.from_pylist(group, schema))


def _rows(source: Path) -> Iterator[dict[str, Any]]:
    with source.open("rb") as lines:
        yield from map(json.loads, lines)


WRITERS: dict[str, Callable[[Path, Path], None]] = {
    "jsonl.gz": gzipped,
    "jsonl.zst": zstandard,
    "parquet": parquet,
    "csv": table,
    "json": array,
}

if __name__ == "__main__":
    WRITERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
