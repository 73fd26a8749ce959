"""Files nobody should have to be afraid of: each ends with a reason, quickly, and in little memory."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc

import pytest

GOOD = b'{"messages":[{"role":"user","content":"q%d"},{"role":"assistant","content":"a"}]}\n'
TWO = GOOD % 1 + GOOD % 2
LATIN = json.dumps(
    {"messages": [{"role": "user", "content": "Où est le café ?"}, {"role": "assistant", "content": "Là."}]},
    ensure_ascii=False,
)
CURLY = json.dumps(
    {"messages": [{"role": "user", "content": "It’s “here”?"}, {"role": "assistant", "content": "No…"}]},
    ensure_ascii=False,
)
KANA = json.dumps(
    {
        "messages": [
            {"role": "user", "content": "日本語の質問はどこですか"},
            {"role": "assistant", "content": "ここにあります"},
        ]
    },
    ensure_ascii=False,
)

REJECTED_FILES = {
    "empty": (b"", "the file is empty"),
    "blank": (b"\n \r\n\t\n", "only blank lines"),
    "bom only": (b"\xef\xbb\xbf", "only blank lines"),
    "text": (b"Dear all,\nplease find attached\n", "none of the 2 rows can be used: the line is not valid JSON"),
    "no usable row": (b'{"a":1}\n[]\n', "the rows are in no known layout; their fields are a."),
    "one row": (GOOD % 1, "only 1 of 1 row would be kept, at least 2 are needed"),
    "one prompt": (GOOD % 1 + (GOOD % 1).replace(b'"a"', b'"b"'), "start with the same user message"),
    "utf-16 with mark": (LATIN.encode("utf-16"), "UTF-16 (little endian)"),
    "utf-16 without mark": (LATIN.encode("utf-16-be"), "UTF-16 (big endian)"),
    "utf-32": (LATIN.encode("utf-32"), "UTF-32"),
    "latin-1": (LATIN.encode("latin-1") + b"\n" + GOOD % 1, "Latin-1"),
    "windows-1252": ((CURLY.encode("cp1252") + b"\n") * 3 + TWO * 10, "Windows-1252"),
    "shift jis": ((KANA.encode("shift_jis") + b"\n") * 2 + TWO, "Shift JIS"),
    "gzip within gzip": (gzip.compress(gzip.compress(TWO)), "a gzip archive within another archive"),
    "gzip of one long line": (gzip.compress(b"x" * 10_000_000), "line 1 is longer than 1,000,000 bytes"),
    "gzip cut off": (gzip.compress(TWO)[:-10], "the gzip file is cut off"),
    "zip": (b"PK\x03\x04" + b"\x00" * 100, "ZIP archive"),
    "parquet": (b"PAR1" + b"\x15\x04" * 100 + b"PAR1", "Parquet"),
    "zstd": (b"\x28\xb5\x2f\xfd" + b"\x00" * 100, "Zstandard"),
    "json array": (b"[\n" + GOOD % 1, "the JSON array is cut off"),
    "tar": (b"chat.jsonl".ljust(257, b"\0") + b"ustar\x0000" + bytes(300), "a tar archive"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
    "html": (b"<!DOCTYPE html>\n<html></html>", "HTML or XML"),
    "preference pairs": (b'{"prompt":"x","chosen":"y","rejected":"z"}\n' * 3, "a chosen and a rejected answer"),
    "plain text": (b'{"text":"x"}\n' * 3, "text"),
    "one long line": (b'{"messages":"' + b"x" * 3_000_000, "line 1 is longer than 1,000,000 bytes"),
    "long line later": (TWO + b"y" * 1_000_001 + b"\n" + TWO, "line 3 is longer than 1,000,000 bytes"),
    "hopeless": (b"nonsense\n" * 5_000, "none of its first"),
    "binary": (random.Random(1).randbytes(200_000), "binary, in no known format"),
    "zeros": (b"\x00" * 100_000, "binary, in no known format"),
    "sampled away": (TWO, "sample_percent 1e-06 left out all of the 2 usable rows"),
}


@pytest.mark.parametrize("case", REJECTED_FILES)
@pytest.mark.parametrize("block", [7, 65_536, None])
def test_unusable_file_is_rejected_with_its_reason(case, block, prepared):
    data, expected = REJECTED_FILES[case]
    if block == 7 and len(data) > 300_000:
        data = data[:1_100_000]
    options = {"sample_percent": 1e-6} if case == "sampled away" else {}
    blocks = [data[at : at + block] for at in range(0, len(data), block)] if block else [data]

    found = prepared(blocks, max_line_bytes=1_000_000, **options)

    assert not found.report.usable
    assert expected in found.report.reason
    assert "\n" not in found.report.reason
    assert found.report.test_sha256 is None


def test_format_of_other_files_is_reported(prepared):
    formats = {case: prepared(REJECTED_FILES[case][0]).report.format for case in ("parquet", "zip", "tar", "git-lfs")}

    assert formats == {case: case for case in formats}


def test_a_few_broken_rows_do_not_make_another_encoding(prepared):
    good = [json.loads(LATIN), json.loads(KANA)]
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in good] + [LATIN.encode("latin-1")]

    found = prepared(b"\n".join(lines))

    assert found.report.usable
    assert found.reasons == {"invalid_utf8": 1}


def test_endless_line_is_not_read_to_its_end(prepared):
    read = 0

    def endless():
        nonlocal read
        yield TWO
        while True:
            read += 65_536
            yield b"x" * 65_536

    found = prepared(endless(), max_line_bytes=1_000_000)

    assert "line 3 is longer" in found.report.reason
    assert read < 1_200_000


def test_memory_does_not_grow_with_the_file(prepared):
    def rows(count):
        for at in range(count):
            yield b'{"messages":[{"role":"user","content":"%08d"},{"role":"assistant","content":"%s"}]}\n' % (
                at,
                b"x" * 4_000,
            )

    class Count:
        def write(self, data: bytes | bytearray) -> None:
            assert data

    from shared.dataset import PrepareOptions, prepare

    def peak(count: int) -> int:
        tracemalloc.start()
        prepare(rows(count), train=Count(), test=Count(), options=PrepareOptions(), name="x")
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return memory

    small, large = peak(2_000), peak(8_000)

    assert large - small < 6_000 * 32 + 100_000
    assert large < 4_000_000


def test_hostile_rows_among_good_ones_cost_only_themselves(prepared):
    hostile = [
        b'{"messages":' + b"[" * 100_000,
        b"{" * 50_000,
        b'{"messages":[],"n":' + b"9" * 400_000 + b"}",
        b'{"messages":[],"n":-1e99999}',
        b'{"' + b"k" * 300_000 + b'":1}',
        b'{"messages":[' + b"{}," * 50_000 + b"{}]}",
        b'{"messages":[{"role":"' + b"r" * 300_000 + b'","content":"x"}]}',
        b"\x00" * 1_000,
        b'"' + b"\\" * 100_001,
        b'{"messages":[{"role":"user","content":"\\ud83d"},{"role":"assistant","content":"\\ude00"}]}',
    ]

    found = prepared(TWO + b"\n".join(hostile) + b"\n")

    assert found.report.usable
    assert found.report.rows_kept == 2
    assert found.report.rows_rejected == len(hostile)


@pytest.mark.parametrize("depth", [*range(100, 1_100, 45), *range(930, 1_010, 5)])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_any_depth_is_read_or_rejected(depth, opening, closing, prepared):
    nested = opening * depth + b"1" + closing * depth
    line = b'{"x":%s,"messages":[{"role":"user","content":"z"},{"role":"assistant","content":"a"}]}\n' % nested

    found = prepared(TWO + line)

    assert found.report.rows_kept + found.reasons.get("nested_too_deeply", 0) == 3
