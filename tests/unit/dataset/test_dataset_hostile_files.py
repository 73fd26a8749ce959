"""Hostile files on disk: each ends by itself, soon, in little memory, and shows nothing half done."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from backports import zstd

_spec = importlib.util.spec_from_file_location("dataset_writing", Path(__file__).with_name("writing.py"))
writing = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(writing)

ROOT = Path(__file__).resolve().parents[3]
CPU_S, PEAK_MB = 5, 200
MIB = 1024 * 1024
ROW = b'{"messages":[{"role":"user","content":"q%d"},{"role":"assistant","content":"a"}]}\n'
ROWS = [
    {"messages": [{"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": f"answer {i} " * 50}]}
    for i in range(3_000)
]


def _deep(path: Path) -> None:
    path.write_bytes(b'{"messages":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}\n")


def _sparse(path: Path, start: bytes) -> None:
    """A file of 1 GB, nearly all of it zeros that take no room on the disk."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(1024 * MIB)


def _bomb(path: Path, compressor, text: bytes) -> None:
    with path.open("wb") as file:
        for _ in range(1024 * MIB // len(text)):
            file.write(compressor.compress(text))
        file.write(compressor.flush())


def _gzip_bomb(path: Path, text: bytes) -> None:
    import zlib

    _bomb(path, zlib.compressobj(9, zlib.DEFLATED, 31), text)


def _zstd_bomb(path: Path, text: bytes) -> None:
    _bomb(path, zstd.ZstdCompressor(), text)


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _values(path: Path, value: bytes, count: int) -> None:
    path.write_bytes(b'{"messages":[],"x":[' + value * count + b"0]}\n" + ROW % 1 + ROW % 2)


def _lying_parquet(path: Path) -> None:
    """The footer says that the strings are numbers: types are swapped in the schema."""
    data = bytearray(writing.parquet(ROWS, compression="none", use_dictionary=False))
    at = data.rfind(b"content", 0, len(data))
    for offset in range(at - 12, at):
        data[offset] ^= 0x05
    path.write_bytes(bytes(data))


def _repeating_parquet(path: Path) -> None:
    """Twenty thousand rows, 100 GB, of one answer that is in the file once."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    answers = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 5_000_000]))
    questions = pa.array([f"question {i}" for i in range(20_000)])
    pq.write_table(pa.table({"prompt": questions, "completion": answers}), path)


CASES = {
    "nesting.jsonl": _deep,
    "one-line.jsonl": lambda path: _sparse(path, b'{"messages":"'),
    "one-value.json": lambda path: _sparse(path, b'[{"messages":"'),
    "one-field.csv": lambda path: _sparse(path, b'prompt,completion\n"'),
    "spaces.jsonl": lambda path: path.write_bytes(b" " * 300 * MIB),
    "newlines.jsonl": lambda path: path.write_bytes(b"\n" * 100 * MIB),
    "numbers.jsonl": lambda path: path.write_bytes(b"1\n" * 40 * MIB),
    "brackets.json": lambda path: path.write_bytes(b"[" * 100 * MIB),
    "empty-values.json": lambda path: path.write_bytes(b"[" + b"{}," * 20 * MIB + b"{}]"),
    "keys.jsonl": lambda path: path.write_bytes(
        b"{" + b"".join(b'"%x":1,' % i for i in range(1_400_000)) + b'"z":1}\n' + ROW % 1
    ),
    "digits.jsonl": lambda path: path.write_bytes(b'{"messages":[],"n":' + b"9" * 5_000_000 + b"}\n" + ROW % 1),
    "columns.csv": lambda path: path.write_bytes(b"prompt," * 2_000_000 + b"completion\n1,2\n"),
    "quotes.csv": lambda path: path.write_bytes(b"prompt,completion\n" + b'"' * 50 * MIB),
    "bomb-line.jsonl.gz": lambda path: _gzip_bomb(path, b"x" * MIB),
    "bomb-rows.jsonl.gz": lambda path: _gzip_bomb(path, ROW % 1 * 10_000),
    "bomb-line.jsonl.zst": lambda path: _zstd_bomb(path, b"x" * MIB),
    "bomb-rows.jsonl.zst": lambda path: _zstd_bomb(path, ROW % 1 * 10_000),
    "bomb.json.gz": lambda path: _gzip_bomb(path, b"[" * MIB),
    "bomb-twice.gz.gz": lambda path: path.write_bytes(gzip.compress(gzip.compress(b"x" * 10 * MIB))),
    "cut.json": lambda path: path.write_bytes(_cut(writing.array(ROWS))),
    "cut.jsonl.gz": lambda path: path.write_bytes(_cut(gzip.compress(writing.jsonl(ROWS)))),
    "cut.jsonl.zst": lambda path: path.write_bytes(_cut(zstd.compress(writing.jsonl(ROWS)))),
    "cut.parquet": lambda path: path.write_bytes(_cut(writing.parquet(ROWS))),
    "lying.parquet": _lying_parquet,
    "dictionary.parquet": _repeating_parquet,
    "binary.jsonl": lambda path: path.write_bytes(os.urandom(MIB)),
}
# Files of which a part can be used, and is.
PARTLY = {
    "texts.jsonl": lambda path: _values(path, b'"ab",', 3_000_000),
    "lists.jsonl": lambda path: _values(path, b"[],", 5_000_000),
    "cut.jsonl": lambda path: path.write_bytes(_cut(writing.jsonl(ROWS))),
    "cut.csv": lambda path: path.write_bytes(_cut(writing.csv_commas(ROWS))),
    "same-rows.jsonl": lambda path: path.write_bytes(ROW % 1 + ROW % 2 * 200_000),
    "nested-among-good.jsonl": lambda path: path.write_bytes(ROW % 1 + b"[" * 2_000_000 + b"\n" + ROW % 2),
}


# A process inherits its parent's peak: whoever measures must be small itself.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, file=file)
"""


def _prepare(path: Path, out: Path) -> tuple[int, dict, str, float, float]:
    """Run the command. Returns: exit code, report, standard error, CPU seconds and peak MB, children included."""
    report, errors, measured = (out.with_suffix(suffix) for suffix in (".stdout", ".stderr", ".measured"))
    with report.open("wb") as stdout, errors.open("wb") as stderr:
        command = [sys.executable, "-m", "shared.dataset", str(path), "--out", str(out)]
        measure = [sys.executable, "-c", MEASURE, str(measured), *command]
        subprocess.run(measure, cwd=ROOT, stdout=stdout, stderr=stderr, check=True, timeout=300)
    code, cpu, peak = measured.read_text().split()
    found = json.loads(report.read_bytes() or b"{}")
    return int(code), found, errors.read_text(), float(cpu), float(peak)


@pytest.mark.parametrize("name", [*CASES, *PARTLY])
def test_hostile_file_ends_soon_in_little_memory_with_a_clear_report(name, tmp_path):
    path, out = tmp_path / name, tmp_path / "out"
    (CASES.get(name) or PARTLY[name])(path)

    code, report, errors, cpu, peak = _prepare(path, out)

    assert code == (2 if name in CASES else 0), errors
    assert report["usable"] is (name in PARTLY)
    assert "Traceback" not in errors
    assert len(errors.splitlines()) == (1 if name in CASES else 0)
    assert cpu < CPU_S, f"{cpu:.1f} s"
    assert peak < PEAK_MB, f"{peak:.0f} MB"
    expected = {"report.html", "report.json"} | ({"train.jsonl", "test.jsonl"} if name in PARTLY else set())
    assert {file.name for file in out.iterdir()} == expected
