"""Parquet files: what honest ones hold arrives, and hostile ones end soon, in little memory, with a reason."""

from __future__ import annotations

import datetime
import decimal
import json
import random
import subprocess
import sys
import textwrap

import pyarrow as pa
import pytest

from shared.dataset import isolated, parquet
from shared.dataset.errors import UnusableFileError
from tests.unit.dataset import parquets
from tests.unit.dataset.parquets import GZIP, LZO, RLE_DICTIONARY, SNAPPY, ZSTD, Column, Page, plain, repeated, texts

MIB = 1024 * 1024
MEMORY = 160 * MIB
PEAK_MB = 200
SECONDS = 5
"""Of processor time: what else the machine does is no fault of the reader's."""
SILENCE_S = 60
READ = "tests.unit.dataset.isolated_functions:read_parquet"


@pytest.fixture
def read(tmp_path):
    """Read the rows of a file's bytes in this process."""

    def read(data, **limits):
        path = tmp_path / "chat.parquet"
        path.write_bytes(data)
        batches = parquet.batches(path, **{"max_row_bytes": 16 * MIB} | limits)
        return [row for rows in batches for row in rows], batches

    return read


# What honest files hold


ROWS = [
    {"messages": [{"role": "user", "content": "Où?"}, {"role": "assistant", "content": None}], "weight": 1, "ok": True},
    {"messages": [], "weight": None, "ok": None},
    {"messages": None, "weight": -3, "ok": False},
    {"messages": [None, {"role": None, "content": "日本語 😀"}], "weight": 2**40, "ok": True},
]


@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize("make_list", [pa.list_, pa.large_list])
@pytest.mark.parametrize("group", [1, 3, 1000])
def test_rows_arrive_as_they_were_written(text, make_list, group, read):
    message = pa.struct([("role", pa.string()), ("content", pa.string() if pa.types.is_dictionary(text) else text)])
    schema = pa.schema([("messages", make_list(message)), ("weight", pa.int64()), ("ok", pa.bool_()), ("tag", text)])
    rows = [row | {"tag": tag} for row, tag in zip(ROWS, ["a", None, "", "a"], strict=True)]

    found, batches = read(parquets.written(pa.Table.from_pylist(rows, schema), row_group_size=group))

    assert found == rows
    assert batches.rows == batches.rows_read == 4
    assert batches.skipped == ()


def test_texts_written_from_views_are_texts(read):
    table = pa.table({"text": pa.array(["x", None, "a text longer than fits into a view"], pa.string_view())})

    assert [row["text"] for row in read(parquets.written(table))[0]] == [
        "x",
        None,
        "a text longer than fits into a view",
    ]


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_every_usual_compression_is_read(codec, version, read):
    data = parquets.chats(50, compression=codec, data_page_version=version)

    assert read(data)[0][49]["messages"][1]["content"].startswith("Answer 49.")


def test_maps_become_objects(read):
    kind = pa.list_(pa.map_(pa.string(), pa.string()))
    rows = [{"messages": [[("role", "user"), ("content", "x")], []]}, {"messages": None}]

    found, _ = read(parquets.written(pa.table({"messages": pa.array([row["messages"] for row in rows], kind)})))

    assert found == [{"messages": [{"role": "user", "content": "x"}, {}]}, {"messages": None}]


def test_fixed_size_lists_of_texts_are_lists(read):
    table = pa.table({"turns": pa.array([["a", "b"], ["c", "d"]], pa.list_(pa.string(), 2))})

    assert read(parquets.written(table))[0] == [{"turns": ["a", "b"]}, {"turns": ["c", "d"]}]


def test_what_holds_no_text_is_left_out_and_named(read):
    moment = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    message = pa.struct([("content", pa.string()), ("at", pa.timestamp("us", "UTC")), ("audio", pa.binary())])
    table = pa.table(
        {
            "messages": pa.array([[{"content": "x", "at": moment, "audio": b"\x00"}]], pa.list_(message)),
            "embedding": pa.array([[0.5, 0.25]], pa.list_(pa.float32(), 2)),
            "input_ids": pa.array([[1, 2]], pa.list_(pa.int32())),
            "image": pa.array([b"\x89PNG"]),
            "price": pa.array([decimal.Decimal("1.50")]),
            "score": pa.array([0.5]),
            "__index_level_0__": pa.array([17]),
        }
    )

    found, batches = read(parquets.written(table))

    assert found == [{"messages": [{"content": "x"}], "score": 0.5}]
    assert batches.skipped == (
        "messages.list.element.at (timestamp)",
        "messages.list.element.audio (binary)",
        "embedding.list.element (list of numbers)",
        "input_ids.list.element (list of numbers)",
        "image (binary)",
        "price (decimal)",
        "__index_level_0__ (row labels of pandas)",
    )


def test_rows_are_json(read):
    table = pa.table({"text": ["x"], "n": pa.array([2**63], pa.uint64()), "f": pa.array([1.5], pa.float16())})

    assert json.loads(json.dumps(read(parquets.written(table))[0])) == [{"text": "x", "n": 2**63, "f": 1.5}]


def test_a_text_that_is_not_utf8_is_given_as_bytes_and_its_neighbours_as_texts(read):
    found, _ = read(
        parquets.parquet([texts("prompt", b"fine", b"caf\xe9"), texts("completion", b"a", "é".encode())], 2)
    )

    assert found == [{"prompt": "fine", "completion": "a"}, {"prompt": b"caf\xe9", "completion": "é"}]


def test_nested_texts_that_are_not_utf8_are_given_as_bytes(read):
    message = pa.struct([("role", pa.string()), ("content", pa.string()), ("n", pa.int32())])
    good = [[{"role": "user", "content": "caf~", "n": 1}, None, {"role": None, "content": "b", "n": None}], None, []]
    data = parquets.written(pa.table({"messages": pa.array(good, pa.list_(message))}), compression="none")

    found, _ = read(data.replace(b"caf~", b"caf\xe9"))

    assert found[0]["messages"][0] == {"role": "user", "content": b"caf\xe9", "n": 1}
    assert found[0]["messages"][1:] == good[0][1:]
    assert found[1:] == [{"messages": None}, {"messages": []}]


def test_no_rows_are_no_rows(read):
    assert read(parquets.chats(0))[0] == []


def test_batches_stay_small_whatever_the_row_group(tmp_path):
    path = tmp_path / "one group.parquet"
    path.write_bytes(parquets.chats(3000, words=100, row_group_size=3000))

    sizes = [len(rows) for rows in parquet.batches(path, max_row_bytes=MIB)]

    assert sum(sizes) == 3000
    assert max(sizes) < 300


# What is wrong with others


GOOD = parquets.chats(100)

UNUSABLE = {
    "empty": (b"", "is not a Parquet file"),
    "text": (b"Dear all, please find attached\n", "is not a Parquet file"),
    "only a mark": (b"PAR1", "the end of the Parquet file is missing"),
    "two marks": (b"PAR1PAR1", "the end of the Parquet file is missing"),
    "cut in the rows": (GOOD[: len(GOOD) // 2], "the end of the Parquet file is missing"),
    "cut in the last byte": (GOOD[:-1], "the end of the Parquet file is missing"),
    "without its head": (GOOD[100:], "is not a Parquet file"),
    "head cut out": (b"PAR1" + GOOD[500:], "row group 1 of 1 of the Parquet file cannot be read"),
    "encrypted": (GOOD[:-4] + b"PARE", "encrypted"),
    "huge footer": (parquets.parquet([texts("a", b"x")], 1, size=2**31 - 1), "the footer of the Parquet file cannot"),
    "negative footer": (parquets.parquet([texts("a", b"x")], 1, size=-1), "the footer of the Parquet file cannot"),
    "footer too short": (parquets.parquet([texts("a", b"x")], 1, size=20), "the footer of the Parquet file cannot"),
    "footer of zeros": (
        b"PAR1" + bytes(500) + (400).to_bytes(4, "little") + b"PAR1",
        "the footer of the Parquet file cannot",
    ),
    "unknown codec": (
        parquets.parquet([Column("a", [Page(plain(b"x"), 1).encode()], LZO, 1)], 1),
        "a compression or an encoding that cannot be read",
    ),
    "more rows promised": (parquets.parquet([texts("a", b"x", b"y")], 5), "row group 1 of 1"),
    "fewer rows promised": (parquets.parquet([texts("a", b"x", b"y")], 2, footer_rows=9), "promises 9"),
    "columns of two lengths": (parquets.parquet([texts("a", b"x"), texts("b", b"x", b"y")], 2), "row group 1 of 1"),
    "a row too large": (parquets.written(pa.table({"a": ["x", "y" * 70_000]})), "row 2 of the Parquet file holds more"),
    "too much in all": (parquets.chats(20_000), "unpack to more than 4,194,304 bytes"),
    "no columns": (parquets.parquet([], 0), "no column of the Parquet file holds text: no columns"),
    "numbers only": (parquets.written(pa.table({"a": [1], "b": [2.5]})), "holds text: only numbers"),
    "images only": (parquets.written(pa.table({"a": [b"\x89"]})), "holds text: a (binary)"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_unusable_file_says_what_is_wrong(case, read):
    data, expected = UNUSABLE[case]

    with pytest.raises(UnusableFileError) as caught:
        read(data, max_row_bytes=65_536, max_unpacked_bytes=4 * MIB)

    assert expected in caught.value.reason
    assert caught.value.format == "parquet"
    assert len(caught.value.reason) < 200


# What would harm a process without limits


def _bomb(text_bytes, rows, codec=ZSTD):
    """One long text that every row of the column repeats."""
    dictionary = Page(plain(b"x" * text_bytes), 1, codec, kind=parquets.DICTIONARY_PAGE).encode()
    page = Page(repeated(0, rows), rows, codec, RLE_DICTIONARY).encode()
    return parquets.parquet([Column("text", [page], codec, rows, dictionary)], rows)


def _nested_bomb():
    """list<struct<role, content>> of 100,000 rows that all hold the same 5 MB."""
    count = 100_000
    index = pa.array([0] * count, pa.int32())
    content = pa.DictionaryArray.from_arrays(index, pa.array(["x" * 5_000_000]))
    role = pa.DictionaryArray.from_arrays(index, pa.array(["user"]))
    message = pa.StructArray.from_arrays([role, content], ["role", "content"])
    messages = pa.ListArray.from_arrays(pa.array(range(count + 1), pa.int32()), message)
    return parquets.written(pa.table({"messages": messages}), store_schema=False, row_group_size=count)


def _page(unpacked, codec):
    """A page that really unpacks to so much: one text."""
    return parquets.parquet([Column("text", [Page(plain(b"x" * unpacked), 1, codec).encode()], codec, 1)], 1)


def _claimed(unpacked, codec=ZSTD):
    page = Page(plain(b"x"), 1, codec, unpacked_bytes=unpacked).encode()
    return parquets.parquet([Column("text", [page], codec, 1)], 1)


def _large_group():
    """300 MB in one row group, pages of 1 MB."""
    page = Page(plain(*[b"word " * 1000] * 200), 200, ZSTD).encode()
    return parquets.parquet([Column("text", [page] * 300, ZSTD, 60_000)], 60_000)


def _deep(levels):
    value, kind = "x", pa.string()
    for _ in range(levels):
        value, kind = [value], pa.list_(kind)
    return parquets.written(pa.table({"text": ["y"], "deep": pa.array([value], kind)}))


def _empty_rows():
    """A billion empty texts in a few bytes."""
    rows = 10**9
    dictionary = Page(plain(b""), 1, kind=parquets.DICTIONARY_PAGE).encode()
    page = Page(repeated(0, rows), rows, encoding=RLE_DICTIONARY).encode()
    return parquets.parquet([Column("text", [page], rows=rows, dictionary=dictionary)], rows)


HOSTILE = {
    "dictionary bomb": (lambda: _bomb(5_000_000, 100_000), "unpack to more than"),
    "dictionary bomb of large texts": (lambda: _bomb(50_000_000, 100_000), "row 1 of the Parquet file"),
    "nested dictionary bomb": (_nested_bomb, "unpack to more than"),
    "zstd page bomb": (lambda: _page(250_000_000, ZSTD), "needs more memory than there is"),
    "gzip page bomb": (lambda: _page(250_000_000, GZIP), "needs more memory than there is"),
    "page that claims 2 GB": (lambda: _claimed(2**31 - 1), "needs more memory than there is"),
    "Snappy page that claims 2 GB": (lambda: _claimed(2**31 - 1, SNAPPY), "needs more memory than there is"),
    "page that claims less than nothing": (lambda: _claimed(-5), "cannot be read"),
    "huge text in one row": (lambda: parquets.parquet([texts("text", b"x" * 200_000_000)], 1), "row 1 of the"),
    "one row group of 300 MB": (_large_group, "60000"),
    "10,000 columns": (lambda: parquets.parquet([texts(f"c{n}", b"x") for n in range(10_000)], 1), "10,000 columns"),
    "2,000 columns": (lambda: parquets.parquet([texts(f"c{n}", b"x" * 9) for n in range(2_000)], 1), "1"),
    "lists in lists, 20 deep": (lambda: _deep(20), "1"),
    "lists in lists, 100 deep": (lambda: _deep(100), "the footer"),
    "a billion empty rows": (_empty_rows, "unpack to more than"),
}

# A slim parent: a process starts with its parent's peak as its own.
_MEASURE = textwrap.dedent("""
    import json, os, resource, sys
    from shared.dataset import isolated
    request = json.loads(sys.argv[1])
    end = "nothing"
    try:
        for kind, data in isolated.call(**request):
            if kind in ("rows", "reason"):
                end = data.decode()
    except isolated.IsolatedError as error:
        end = str(error)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"end": end, "peak_mb": used.ru_maxrss / 1024, "seconds": used.ru_utime + used.ru_stime}))
""")


def _measured(paths, max_unpacked_bytes):
    arguments = {"paths": [str(path) for path in paths], "max_unpacked_bytes": max_unpacked_bytes}
    request = {"function": READ, "arguments": arguments, "memory_bytes": MEMORY, "silence_s": SILENCE_S}
    command = [sys.executable, "-c", _MEASURE, json.dumps(request)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=2 * SILENCE_S).stdout)


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file_ends_soon_and_in_little_memory(case, tmp_path):
    make, expected = HOSTILE[case]
    path = tmp_path / "hostile.parquet"
    path.write_bytes(make())

    found = _measured([path], 512 * MIB)

    assert expected in found["end"]
    assert found["peak_mb"] < PEAK_MB
    assert found["seconds"] < SECONDS


def test_damaged_bytes_anywhere_end_in_rows_or_a_reason(tmp_path):
    chance = random.Random(20)
    goods = [
        parquets.chats(60),
        parquets.chats(60, compression="none", use_dictionary=False),
        parquets.chats(60, compression="zstd", data_page_version="2.0", row_group_size=20),
    ]
    paths = []
    for number in range(300):
        data = bytearray(goods[number % 3])
        footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        for _ in range(chance.choice([1, 1, 2, 8])):
            start = footer if chance.random() < 0.6 else 4
            data[chance.randrange(start, len(data) - 8)] = chance.choice(
                [0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)]
            )
        paths.append(tmp_path / f"{number}.parquet")
        paths[-1].write_bytes(data)

    ends, crashes = _read_all(paths)

    assert len(ends) + len(crashes) == 300
    assert not crashes
    assert sum(kind == "reason" for kind, _ in ends.values()) > 50
    assert all(len(text) < 300 for kind, text in ends.values())


def _read_all(paths):
    """Read file after file in one child; start another one when it dies."""
    ends, crashes, left = {}, {}, [str(path) for path in paths]
    while left:
        arguments = {"paths": left, "max_unpacked_bytes": 64 * MIB}
        opened = left[0]
        try:
            for kind, data in isolated.call(READ, arguments, memory_bytes=MEMORY, silence_s=SILENCE_S):
                if kind == "open":
                    opened = data.decode()
                elif kind != "progress":
                    ends[opened] = kind, data.decode()
        except isolated.IsolatedError as error:
            crashes[opened] = error.failure
        left = left[left.index(opened) + 1 :]
    return ends, crashes
