import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.demo.preview import Preview, preview, upload_name

PAIRS = [(f"Who keeps lighthouse {i}?", f"Lighthouse {i} is kept by Odalys {i}.") for i in range(12)]


def messages() -> list[dict[str, Any]]:
    return [
        {"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]}
        for ask, answer in PAIRS
    ]


def as_jsonl_gz(path: Path) -> None:
    path.write_bytes(gzip.compress("".join(f"{json.dumps(row)}\n" for row in messages()).encode()))


def as_json_array(path: Path) -> None:
    path.write_text(json.dumps(messages(), indent=1), "utf-8")


def as_alpaca_csv(path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["instruction", "input", "output"])
        table.writerows([ask, "", answer] for ask, answer in PAIRS)


def as_sharegpt_parquet(path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    turns = [[{"from": "human", "value": ask}, {"from": "gpt", "value": answer}] for ask, answer in PAIRS]
    parquet.write_table(pyarrow.table({"conversations": turns}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.jsonl.gz", as_jsonl_gz),
        ("a.json", as_json_array),
        ("a.csv", as_alpaca_csv),
        ("a.parquet", as_sharegpt_parquet),
    ],
)
def test_a_file_of_any_kind_is_looked_into(tmp_path: Path, name: str, write: Callable[[Path], None]) -> None:
    path = tmp_path / name
    write(path)
    found = preview(path)
    assert found.rows == len(PAIRS)
    assert 10 < found.tokens_a_row < 60


def test_a_file_that_cannot_be_used_is_left_to_the_app_to_refuse(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"nothing of use\n")
    assert preview(path) == Preview(0, 0)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.jsonl", "dataset.jsonl"),
        ("train.JSONL.GZ", "dataset.jsonl.gz"),
        ("chats.v2.parquet", "dataset.parquet"),
        ("my notes.txt", "dataset.jsonl"),
        ("no-ending", "dataset.jsonl"),
        ("a.csv.zst", "dataset.csv.zst"),
    ],
)
def test_a_file_is_dropped_under_a_name_that_keeps_what_its_endings_say(file: str, name: str) -> None:
    assert upload_name(Path(file)) == name
