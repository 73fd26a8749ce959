"""The command line, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.dataset import PrepareOptions
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
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "test.jsonl", "train.jsonl"]
    report = json.loads(done.stdout)
    assert report["rows_train"] == len((out / "train.jsonl").read_text().splitlines())
    assert report["options"]["seed"] == 3


def test_rejected_dataset_exits_2_and_leaves_only_the_report(command, good, tmp_path):
    out = tmp_path / "out"
    command(good, "--out", out)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("nonsense\n")

    done = command(bad, "--out", out)

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert json.loads(done.stdout)["usable"] is False
    assert [path.name for path in out.iterdir()] == ["report.json"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.jsonl", "--out", "OUT"], "missing.jsonl: No such file"),
        (["GOOD", "--out", "OUT", "--sample-percent", "0"], "sample_percent is 0"),
        (["GOOD", "--out", "OUT", "--test-fraction", "x"], "--test-fraction"),
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
    prepare_file(good, out, PrepareOptions())
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    large = tmp_path / "large.jsonl"
    large.write_bytes(jsonl([chat(f"{i}", "x" * 5_000) for i in range(1_000)]))

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_file(large, out, PrepareOptions(), stop)

    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_source_among_the_outputs_is_not_touched(good, tmp_path):
    source = good.rename(tmp_path / "train.jsonl")
    before = source.read_bytes()

    with pytest.raises(SourceIsOutputError):
        prepare_file(source, tmp_path, PrepareOptions())

    assert source.read_bytes() == before


def test_package_imports_nothing_heavy():
    code = "import sys, shared.dataset; print(sorted({'azure', 'pandas', 'pyarrow', 'numpy'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
