"""Parquet as others write it: whatever pyarrow makes of random tables is read as pyarrow reads it itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from shared.dataset.errors import UnusableFileError
from shared.dataset.parquet import batches
from tests.unit.dataset import parquets
from tests.unit.dataset.parquets import (
    GZIP,
    OPTIONAL,
    REPEATED,
    SNAPPY,
    ZSTD,
    Column,
    Fields,
    Page,
    element,
    levels,
    plain,
)

TEXTS = ("", "user", "assistant", "é" * 5, "日本😀", "x" * 3, "y" * 900)
NUMBERS: tuple[tuple[pa.DataType, Any], ...] = (
    (pa.int8(), lambda chance: chance.randrange(-128, 128)),
    (pa.int32(), lambda chance: chance.randrange(-(2**31), 2**31)),
    (pa.int64(), lambda chance: chance.choice([chance.randrange(-(2**63), 2**63), chance.randrange(9)])),
    (pa.uint32(), lambda chance: chance.randrange(2**32)),
    (pa.uint64(), lambda chance: chance.randrange(2**64)),
    (pa.float16(), lambda chance: float(chance.randrange(50))),
    (pa.float32(), lambda chance: chance.randrange(100) / 4),
    (pa.float64(), lambda chance: chance.random()),
    (pa.bool_(), lambda chance: chance.random() < 0.5),
    (pa.null(), lambda _: None),
)
ENCODINGS = {
    "BYTE_ARRAY": ("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"),
    "INT32": ("DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT", "PLAIN"),
    "INT64": ("DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT", "PLAIN"),
    "FLOAT": ("BYTE_STREAM_SPLIT", "PLAIN"),
    "DOUBLE": ("BYTE_STREAM_SPLIT", "PLAIN"),
    "FIXED_LEN_BYTE_ARRAY": ("BYTE_STREAM_SPLIT", "PLAIN"),
    "BOOLEAN": ("RLE", "PLAIN"),
}


class Tables:
    """Random tables whose columns are texts and numbers in any nesting."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._nulls = self.chance.choice([0, 0.2, 0.8])

    def table(self, rows: int) -> pa.Table:
        columns = {"text": self._values(pa.string(), rows)}
        for number in range(self.chance.randrange(1, 5)):
            columns[f"c{number}"] = self._values(self._kind(3), rows)
        return pa.table(columns)

    def _values(self, kind: pa.DataType, rows: int) -> pa.Array:
        return pa.array([self._value(kind) for _ in range(rows)], kind)

    def _kind(self, depth: int, *, in_list: bool = False) -> pa.DataType:
        pick = self.chance.choice(["text", "number", "list", "struct", "map"] if depth else ["text", "number"])
        if pick == "list":
            return self.chance.choice([pa.list_, pa.large_list])(self._kind(depth - 1, in_list=True))
        if pick == "struct":
            return pa.struct([(f"f{number}", self._kind(depth - 1)) for number in range(self.chance.randrange(1, 4))])
        if pick == "map":
            return pa.map_(pa.string(), self._kind(depth - 1))
        if pick == "number" and not in_list:
            return self.chance.choice(NUMBERS)[0]
        return self.chance.choice([pa.string(), pa.large_string()])

    def _value(self, kind: pa.DataType) -> Any:
        if self.chance.random() < self._nulls:
            return None
        if pa.types.is_map(kind):
            return [(f"k{number}", self._value(kind.item_type)) for number in range(self.chance.randrange(4))]
        if pa.types.is_struct(kind):
            return {field.name: self._value(field.type) for field in kind}
        if pa.types.is_nested(kind):
            return [self._value(kind.value_type) for _ in range(self.chance.choice([0, 1, 2, 9]))]
        make = next((make for known, make in NUMBERS if known == kind), None)
        return make(self.chance) if make else self.chance.choice([*TEXTS, f"t{self.chance.randrange(10**6)}"])

    def options(self, table: pa.Table) -> dict[str, Any]:
        pick = self.chance.choice
        found = {
            "compression": pick(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]),
            "data_page_version": pick(["1.0", "2.0"]),
            "data_page_size": pick([64, 1024, 2**20]),
            "dictionary_pagesize_limit": pick([100, 2**20]),
            "row_group_size": pick([37, 10**6]),
            "store_schema": pick([True, False]),
            "use_compliant_nested_type": pick([True, False]),
            "use_dictionary": pick([True, False]),
            "write_batch_size": pick([1, 7, 1024]),
            "write_page_checksum": pick([True, False]),
        }
        if not found["use_dictionary"]:
            empty = parquets.written(table.schema.empty_table(), **found)
            stored = pq.ParquetFile(pa.BufferReader(empty)).schema
            leaves = [stored.column(number) for number in range(len(stored))]
            found["column_encoding"] = {leaf.path: pick(ENCODINGS[leaf.physical_type]) for leaf in leaves}
        return found


def plain_value(value: Any, kind: pa.DataType) -> Any:
    """What pyarrow gives, with its maps as dicts."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return {key: plain_value(item, kind.item_type) for key, item in value}
    if pa.types.is_struct(kind):
        return {field.name: plain_value(value[field.name], field.type) for field in kind}
    if pa.types.is_nested(kind):
        return [plain_value(item, kind.value_type) for item in value]
    return value


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for rows in batches(path, max_row_bytes=2**24) for row in rows]


@pytest.mark.parametrize("seed", range(40))
def test_random_tables_in_random_encodings_are_read_as_they_were_written(seed: int, tmp_path: Path) -> None:
    tables = Tables(seed)
    table = tables.table(tables.chance.choice([0, 1, 7, 300]))
    path = tmp_path / "random.parquet"
    path.write_bytes(parquets.written(table, **tables.options(table)))

    found = rows_of(path)

    schema = table.schema
    assert found == [
        {name: plain_value(value, schema.field(name).type) for name, value in row.items()} for row in table.to_pylist()
    ]


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN", "RLE_DICTIONARY"])
@pytest.mark.parametrize("rows", [1, 31, 32, 33, 129, 5000])
def test_texts_in_every_encoding_are_read_over_the_ends_of_blocks(encoding: str, rows: int, tmp_path: Path) -> None:
    wanted = [{"text": f"row {number % 1000}"} for number in range(rows)]
    path = tmp_path / "texts.parquet"
    how: dict[str, Any] = {"column_encoding": {"text": encoding}} if encoding != "RLE_DICTIONARY" else {}
    path.write_bytes(parquets.written(pa.Table.from_pylist(wanted), use_dictionary=not how, **how))

    assert rows_of(path) == wanted


# Lists and maps as others write them: the format's rules of backward compatibility

MAP, MAP_KEY_VALUE, LIST = 1, 2, 3  # of ConvertedType
# schema, the definition of an item, and of an empty list, what an item is
LISTS: dict[str, tuple[list[Fields], int, int, Callable[[str], Any]]] = {
    "a repeated text": ([element("turns", occurs=REPEATED)], 1, 0, str),
    "two levels, the items texts": (
        [element("turns", occurs=OPTIONAL, children=1, converted=LIST), element("item", occurs=REPEATED)],
        2,
        1,
        str,
    ),
    "two levels, the items objects": (
        [
            element("turns", occurs=OPTIONAL, children=1, converted=LIST),
            element("array", occurs=REPEATED, children=1),
            element("say"),
        ],
        2,
        1,
        lambda text: {"say": text},
    ),
    "two levels, the items named after the list": (
        [
            element("turns", children=1, converted=LIST),
            element("turns_tuple", occurs=REPEATED, children=1),
            element("say", occurs=OPTIONAL),
        ],
        2,
        0,
        lambda text: {"say": text},
    ),
    "three levels": (
        [
            element("turns", occurs=OPTIONAL, children=1, converted=LIST),
            element("bag", occurs=REPEATED, children=1),
            element("array_element", occurs=OPTIONAL),
        ],
        3,
        1,
        str,
    ),
    "a map of keys alone": (
        [
            element("turns", children=1, converted=MAP),
            element("key_value", occurs=REPEATED, children=1),
            element("key"),
        ],
        1,
        0,
        str,
    ),
}


@pytest.mark.parametrize("case", LISTS)
def test_lists_of_every_age_are_lists(case: str, tmp_path: Path) -> None:
    schema, item, empty, made = LISTS[case]
    page = levels(0, 1, 0, 0) + levels(item, item, empty, item) + plain(b"a", b"b", b"c")
    path = tmp_path / "lists.parquet"
    path.write_bytes(parquets.parquet([Column("turns", [Page(page, 4).encode()], rows=4)], 3, schema=schema))

    assert rows_of(path) == [{"turns": [made("a"), made("b")]}, {"turns": []}, {"turns": [made("c")]}]


@pytest.mark.parametrize("converted", [MAP, MAP_KEY_VALUE])
def test_maps_of_every_age_are_objects(converted: int, tmp_path: Path) -> None:
    schema = [
        element("turn", occurs=OPTIONAL, children=1, converted=converted),
        element("map", occurs=REPEATED, children=2),
        element("key"),
        element("value", occurs=OPTIONAL),
    ]
    keys = Page(levels(0, 1, 0, 0) + levels(2, 2, 1, 0) + plain(b"role", b"content"), 4).encode()
    values = Page(levels(0, 1, 0, 0) + levels(3, 2, 1, 0) + plain(b"user"), 4).encode()
    columns = [Column("key", [keys], rows=4), Column("value", [values], rows=4)]
    path = tmp_path / "maps.parquet"
    path.write_bytes(parquets.parquet(columns, 3, schema=schema))

    assert rows_of(path) == [{"turn": {"role": "user", "content": None}}, {"turn": {}}, {"turn": None}]


@pytest.mark.parametrize(
    "page",
    [
        levels(1, 0) + levels(3, 3) + plain(b"a", b"b"),  # the first row has no beginning
        levels(0, 1) + levels(0, 3) + plain(b"b"),  # null, and yet it goes on
        levels(0, 1) + levels(3, 3) + plain(b"a"),  # fewer texts than there are said to be
        levels(0) + levels(3, 3) + plain(b"a", b"b"),  # fewer levels
        levels(0, 1)[:-1] + b"\xff" * 4,
        b"\x06\x00\x00\x00\x00\x00\x02\x00\x02\x01" + levels(3, 3) + plain(b"a", b"b"),  # a run of none
    ],
)
def test_levels_that_contradict_each_other_are_damage(page: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    schema = LISTS["three levels"][0]
    path.write_bytes(parquets.parquet([Column("turns", [Page(page, 2).encode()], rows=2)], 1, schema=schema))

    with pytest.raises(UnusableFileError, match="row group 1 of 1 of the Parquet file cannot be read; the file is dam"):
        rows_of(path)


@pytest.mark.parametrize("codec", [SNAPPY, GZIP, ZSTD])
@pytest.mark.parametrize("off_by", [-1, 1])
def test_a_page_that_unpacks_to_another_size_than_it_claims_is_damage(codec: int, off_by: int, tmp_path: Path) -> None:
    data = plain(b"a text", b"another")
    page = Page(data, 2, codec, unpacked_bytes=len(data) + off_by).encode()
    path = tmp_path / "claims.parquet"
    path.write_bytes(parquets.parquet([Column("text", [page], codec, 2)], 2))

    with pytest.raises(UnusableFileError, match="cannot be read; the file is damaged"):
        rows_of(path)


def test_a_page_whose_checksum_is_wrong_is_damage(tmp_path: Path) -> None:
    data = parquets.written(
        pa.table({"text": ["a text"]}), compression="none", use_dictionary=False, write_page_checksum=True
    )
    path = tmp_path / "sums.parquet"
    path.write_bytes(data.replace(b"a text", b"a test"))

    with pytest.raises(UnusableFileError, match="cannot be read; the file is damaged"):
        rows_of(path)


def test_a_column_with_a_key_is_encrypted(tmp_path: Path) -> None:
    column = parquets.texts("text", b"a")
    column.crypto = True
    path = tmp_path / "secret.parquet"
    path.write_bytes(parquets.parquet([column], 1))

    with pytest.raises(UnusableFileError, match="the Parquet file is encrypted"):
        rows_of(path)
