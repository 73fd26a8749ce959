"""Failures on request: what is read of faults.json."""

import threading
from pathlib import Path

import pytest

from local.azureml import faults


def test_without_the_file_nothing_is_to_fail(tmp_path: Path) -> None:
    assert faults.read(tmp_path, "job") is None


def test_each_kind_has_its_own_fault(tmp_path: Path) -> None:
    (tmp_path / "faults.json").write_text('{"compute": {"message": "m"}}')
    assert faults.read(tmp_path, "compute") == {"message": "m"}
    assert faults.read(tmp_path, "deployment") is None


@pytest.mark.parametrize("content", ["", '{"job": {"mess', "[]", "\xff"])
def test_a_broken_file_is_ignored_and_named_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    file = tmp_path / "faults.json"
    file.write_text(content, encoding="latin-1")
    assert faults.read(tmp_path, "job") is None
    assert str(file) in caplog.text


def test_a_file_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('{"job": ')
    writer = threading.Timer(0.07, file.write_text, ['{"compute": {"message": "m"}}'])
    writer.start()
    assert faults.read(tmp_path, "compute") == {"message": "m"}
    writer.join()
