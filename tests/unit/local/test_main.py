"""The command line's answers when there is nothing to work with."""

import json
import os
from pathlib import Path

import pytest

from local import lock
from local.__main__ import main
from local.stopping import Stop


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
    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        stop(2, None)
    stop(15, None)
    with pytest.raises(KeyboardInterrupt):
        stop.ends_start()


def test_a_signal_after_the_start_is_noted() -> None:
    stop = Stop()
    stop.ends_start()
    stop(15, None)
    assert stop.asked


def test_faults_are_added_listed_and_cleared_in_a_directory_where_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--state-dir", str(tmp_path)]
    commands = [
        "requests --method PUT --path jobs --status 429 --seconds 2m --retry-after 7",
        "requests --plane events --drop --after --probability 0.5 --seed 1",
        "requests --status 400 --body quota",
        "events --lose --type RunCompleted --times 1",
        "events --delay 30s --subject a.jsonl",
        "events --shuffle --within 2s --steps",
        "job --step preprocess --message no",
        "deployment --quota --instance-type F4s",
        "deployment --never-ends --match bot",
        "compute --message full --vm-priority Dedicated",
        "preempt --times 1",
        "outputs --match bot",
        "host --kill after --path jobs/",
        "taken bot-1 --elsewhere",
        "skew 3m --behind",
    ]
    for command in commands:
        assert main(["faults", *where, *command.split()]) == 0
    for scenario in ("unreachable 5m", "busy 2m", "slow 1m", "early-event", "lost-completion"):
        assert main(["faults", *scenario.split(), *where]) == 0
    capsys.readouterr()
    assert main(["faults", "list", "--json", *where]) == 0
    listed = json.loads(capsys.readouterr().out)
    document = json.loads((tmp_path / "faults.json").read_text())
    assert len(listed) == len({one["id"] for one in listed}) == sum(map(len, document.values())) == 24
    assert listed[0]["rule"] == {"method": "PUT", "path": "jobs", "status": 429, "retry_after": 7.0, "seconds": 120.0}
    assert document["clock_skew_s"][0]["by_s"] == -180
    assert document["events"][1] | {"id": "", "added": 0} == {
        "do": "delay",
        "delay_s": 30,
        "subject": "a.jsonl",
        "id": "",
        "added": 0,
    }
    assert main(["faults", "clear", listed[0]["id"], *where]) == 0
    assert main(["faults", "clear", listed[0]["id"], *where]) == 1
    assert main(["faults", "clear", *where]) == 0
    assert json.loads((tmp_path / "faults.json").read_text()) == {}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("requests --path jobs", "a rule needs status, drop or delay_s"),
        ("requests --path ( --status 500", "is no regular expression"),
        ("requests --status 500 --body {", "is not JSON"),
        ('add {"weather":{}}', "weather is no kind of fault"),
        ("host --kill now", "no Functions host runs"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, said: str
) -> None:
    assert main(["faults", "--state-dir", str(tmp_path), *command.split(" ")]) != 0
    assert said in capsys.readouterr().err
    assert not (tmp_path / "faults.json").exists()


def test_events_of_nothing_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["events", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", ["clock", "clock advance 9h", "sweeps", "sweeps ID"])
def test_the_clock_and_the_sweeps_of_nothing_are_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([*command.split(), "--state-dir", str(tmp_path)]) == 3
    assert "nothing is running" in capsys.readouterr().out
    assert not (tmp_path / "clock.json").exists()


@pytest.mark.parametrize("by", ["-9h", "soon", "1.5h"])
def test_a_clock_moves_by_durations_only(tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["clock", "advance", "--state-dir", str(tmp_path), "--", by])
    assert end.value.code == 2
    assert "such as 45s, 15m, 9h" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["0s", "4000d"])
def test_a_clock_that_cannot_be_moved_so_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str) -> None:
    with lock.hold(tmp_path):
        (tmp_path / "up.json").write_text(json.dumps({"state_dir": str(tmp_path)}))
        assert main(["clock", "advance", by, "--state-dir", str(tmp_path)]) == 2
    assert "local: the clock" in capsys.readouterr().err
    assert not (tmp_path / "clock.json").exists()
