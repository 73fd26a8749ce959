"""The command line, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.dataset import PrepareOptions
from shared.dataset.__main__ import render_page
from shared.dataset.files import SourceIsOutputError, prepare_file

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def command(tmp_path):
    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "shared.dataset", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def good(tmp_path, chat, jsonl):
    path = tmp_path / "chat.jsonl"
    path.write_bytes(jsonl([chat(f"question {i}", f"answer {i}") for i in range(60)]))
    return path


def test_usable_dataset_exits_0_with_all_files(command, good, tmp_path):
    done = command(
        good, "--out", tmp_path / "new" / "out", "--sample-percent", "50", "--test-fraction", "0.2", "--seed", "3"
    )

    out = tmp_path / "new" / "out"
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads((out / "report.json").read_text())
    assert sorted(path.name for path in out.iterdir()) == [
        "report.html",
        "report.json",
        "test.jsonl",
        "train.jsonl",
    ]
    report = json.loads(done.stdout)
    assert report["rows_train"] == len((out / "train.jsonl").read_text().splitlines())
    assert report["options"]["seed"] == 3


def test_rejected_dataset_exits_2_and_leaves_only_the_reports(command, good, tmp_path):
    out = tmp_path / "out"
    command(good, "--out", out)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("nonsense\n")

    done = command(bad, "--out", out)

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert json.loads(done.stdout)["usable"] is False
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json"]


def test_mended_dataset_lies_beside_the_others_and_has_no_faults_left(command, tmp_path, chat, jsonl):
    rows = [chat(f"question {i}", f"answer {i}") for i in range(20)]
    rows += [chat("cut", "me", "please"), chat("a", "b", "blank", " ", "c", "d"), chat(" ", "only blank")]
    (tmp_path / "chat.jsonl").write_bytes(jsonl(rows))
    first = json.loads(command(tmp_path / "chat.jsonl", "--out", tmp_path / "out").stdout)

    again = json.loads(command(tmp_path / "out" / "repaired.jsonl", "--out", tmp_path / "again").stdout)

    assert (first["rows_kept"], first["rows_mendable"], first["rows_rejected"]) == (21, 2, 2)
    assert (again["rows_read"], again["rows_kept"], again["rows_rejected"], again["notes"]) == (22, 22, 0, {})
    assert not (tmp_path / "again" / "repaired.jsonl").exists()


def test_rejected_dataset_that_can_be_mended_leaves_the_mended_rows(command, tmp_path, chat, jsonl):
    (tmp_path / "chat.jsonl").write_bytes(jsonl([chat(f"q{i}", "a", f"blank {i}", "\n") for i in range(3)]))

    done = command(tmp_path / "chat.jsonl", "--out", tmp_path / "out")
    again = command(tmp_path / "out" / "repaired.jsonl", "--out", tmp_path / "again")

    assert (done.returncode, again.returncode) == (2, 0)
    assert json.loads(again.stdout)["rows_kept"] == 3


def test_test_file_of_ones_own_is_held_out_whole(command, good, tmp_path, chat, jsonl):
    held_out = tmp_path / "test.jsonl"
    held_out.write_bytes(jsonl([chat(f"held out {i}", "answer") for i in range(5)] + [chat("question 7", "another")]))

    report = json.loads(command(good, "--out", tmp_path / "out", "--test-file", held_out).stdout)

    assert (report["rows_train"], report["rows_test"]) == (59, 6)
    assert report["rejected_by_reason"]["prompt_in_test"] == {"count": 1, "first_lines": [8]}
    assert report["test_file"]["dataset"] == "test.jsonl"
    assert len((tmp_path / "out" / "test.jsonl").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.jsonl", "--out", "OUT"], "missing.jsonl: No such file"),
        (["GOOD", "--out", "OUT", "--sample-percent", "0"], "sample_percent is 0"),
        (["GOOD", "--out", "OUT", "--test-fraction", "x"], "--test-fraction"),
        (["GOOD", "--out", "OUT", "--column", "user"], "ROLE=NAME"),
        (["GOOD", "--out", "OUT", "--layout", "morse"], "--layout"),
        (["GOOD", "--out", "OUT", "--drop", "adverbs"], "--drop"),
        (["GOOD", "--out", "OUT", "--context-window", "0"], "context_window is 0"),
        (["GOOD", "--out", "OUT", "--tokenizer", "missing.json"], "tokenizer.json that can be read"),
        (["GOOD", "--out", "OUT", "--test-file", "missing.jsonl"], "missing.jsonl"),
        (["GOOD"], "--out"),
        (["DIRECTORY", "--out", "OUT"], "directory"),
        (["GOOD", "--out", "GOOD"], "chat.jsonl"),
    ],
)
def test_other_error_exits_1_with_one_line(arguments, words, command, good, tmp_path):
    places = {"GOOD": str(good), "OUT": str(tmp_path / "out"), "DIRECTORY": str(tmp_path)}

    done = command(*[places.get(argument, argument) for argument in arguments])

    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_interrupted_preparation_leaves_the_earlier_files(good, tmp_path, chat, jsonl):
    out = tmp_path / "out"
    prepare_file(good, out, PrepareOptions(), page=render_page)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    large = tmp_path / "large.jsonl"
    large.write_bytes(jsonl([chat(f"{i}", "x" * 5_000) for i in range(1_000)]))

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_file(large, out, PrepareOptions(), stop, page=render_page)

    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_source_among_the_outputs_is_not_touched(good, tmp_path):
    source = good.rename(tmp_path / "train.jsonl")
    before = source.read_bytes()

    with pytest.raises(SourceIsOutputError):
        prepare_file(source, tmp_path, PrepareOptions(), page=render_page)

    assert source.read_bytes() == before


def test_package_imports_nothing_heavy():
    code = "import sys, shared.dataset; print(sorted({'azure', 'pandas', 'pyarrow', 'numpy'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
