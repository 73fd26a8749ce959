"""The command line's answers when there is nothing to work with."""

import json
import os
from pathlib import Path

import pytest

from local import lock
from local.__main__ import _Stop, main


@pytest.mark.parametrize("value", ["0", "1023", "65530", "-1", "eight", ""])
def test_a_port_base_out_of_range_is_refused_with_the_range(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["up", f"--port-base={value}"])
    assert end.value.code == 2
    assert f"{value!r} is not a number from 1024 to 65529" in capsys.readouterr().err


def test_status_of_nothing_is_a_sentence_although_files_were_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "up.json").write_text('{"ready"')
    (tmp_path / lock.NAME).write_text(str(os.getppid()))
    assert main(["status", "--state-dir", str(tmp_path)]) == 3
    assert "`.venv/bin/python -m local up` starts it" in capsys.readouterr().out


def test_down_spares_a_stranger_whose_pid_was_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / lock.NAME).write_text(str(os.getpid()))
    assert main(["down", "--state-dir", str(tmp_path)]) == 0
    assert "nothing is running" in capsys.readouterr().out


def test_status_while_starting_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with lock.hold(tmp_path):
        assert main(["status", "--state-dir", str(tmp_path)]) == 3
    assert "still starting" in capsys.readouterr().out


def test_status_of_a_stack_that_is_gone_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = {"env": {"FUNCTIONS_KEY": "key"}, "urls": {"api": "http://127.0.0.1:1/api"}}
    with lock.hold(tmp_path):
        (tmp_path / "up.json").write_text(json.dumps(nobody))
        assert main(["status", "--state-dir", str(tmp_path)]) == 3
    assert "nothing answers at http://127.0.0.1:1/api/runs" in capsys.readouterr().out


def test_the_demo_does_not_empty_a_directory_of_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").touch()
    assert main(["demo", "--state-dir", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").exists()


def test_the_first_signal_interrupts_the_start_and_a_second_does_not_interrupt_the_stopping() -> None:
    stop = _Stop()
    with pytest.raises(KeyboardInterrupt):
        stop(2, None)
    stop(15, None)
    with pytest.raises(KeyboardInterrupt):
        stop.ends_start()


def test_a_signal_after_the_start_is_noted() -> None:
    stop = _Stop()
    stop.ends_start()
    stop(15, None)
    assert stop.asked
