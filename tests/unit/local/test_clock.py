"""The clock's file: forward only, the same for everybody, kept."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.clock import FARTHEST, Clock, ClockError, advance, duration
from local.clock_command import line

NINE_HOURS = timedelta(hours=9)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def noon() -> float:
    return NOON.timestamp()


def test_a_clock_that_was_never_moved_is_the_machines(tmp_path: Path) -> None:
    clock = Clock(tmp_path, noon)
    assert clock.ahead == timedelta()
    assert clock.now() == NOON
    assert not (tmp_path / "clock.json").exists()


def test_every_clock_of_a_directory_shows_a_move_at_once_and_after_a_restart(tmp_path: Path) -> None:
    clock = Clock(tmp_path, noon)
    clock.now()
    assert advance(tmp_path, NINE_HOURS, noon) == NOON + NINE_HOURS
    assert clock.now() == NOON + NINE_HOURS
    assert advance(tmp_path, timedelta(days=1), noon) == NOON + timedelta(days=1, hours=9)
    assert clock.now() == Clock(tmp_path, noon).now() == NOON + timedelta(days=1, hours=9)
    assert Clock(tmp_path / "another", noon).now() == NOON


@pytest.mark.parametrize("by", [timedelta(), timedelta(seconds=-1), FARTHEST + timedelta(seconds=1)])
def test_a_move_back_or_too_far_is_refused_and_changes_nothing(tmp_path: Path, by: timedelta) -> None:
    with pytest.raises(ClockError):
        advance(tmp_path, by)
    assert Clock(tmp_path).ahead == timedelta()


def test_time_does_not_run_back_when_the_file_does_or_goes(tmp_path: Path) -> None:
    clock, file = Clock(tmp_path), tmp_path / "clock.json"
    advance(tmp_path, NINE_HOURS)
    assert clock.ahead == NINE_HOURS
    for text in ('{"moves": [{"at": 0, "ahead_s": 5}]}', "no JSON", '{"moves": []}', "[]"):
        file.write_text(text)
        os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
        assert clock.ahead == NINE_HOURS
    file.unlink()
    assert clock.ahead == NINE_HOURS


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_text("ten o'clock")
    with pytest.raises(ClockError, match="is not as `clock advance` writes it"):
        advance(tmp_path, NINE_HOURS)
    assert (tmp_path / "clock.json").read_text() == "ten o'clock"


def test_it_tells_what_it_showed_at_a_moment_of_the_machine(tmp_path: Path) -> None:
    for at in (100.0, 200.0):
        advance(tmp_path, timedelta(seconds=10), lambda at=at: at)
    clock = Clock(tmp_path)
    assert [clock.at(moment) for moment in (99, 100, 199, 200, 300)] == [99, 110, 209, 220, 320]


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    moves = [{"at": float(number), "ahead_s": float(number)} for number in range(1000)]
    (tmp_path / "clock.json").write_text(json.dumps({"moves": moves}))
    advance(tmp_path, NINE_HOURS)
    kept = json.loads((tmp_path / "clock.json").read_text())["moves"]
    assert len(kept) == 1000
    assert kept[-1]["ahead_s"] == 999 + NINE_HOURS.total_seconds()


def test_durations_are_those_of_the_settings() -> None:
    assert duration("45s") == timedelta(seconds=45)
    assert duration(" 7D ") == timedelta(days=7)
    assert duration("1d1h30m") == timedelta(days=1, hours=1, minutes=30)


@pytest.mark.parametrize("text", ["", "9", "h", "-9h", "1.5h", "9h ago", "9999999999d"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(ClockError, match="such as 45s"):
        duration(text)


def test_the_time_is_shown_in_utc_with_how_far_it_is_ahead() -> None:
    assert line(NOON, timedelta()) == "2026-01-01 12:00:00 UTC, as this machine's clock"
    ahead = timedelta(days=1, hours=9, minutes=30)
    assert line(NOON, ahead) == "2026-01-01 12:00:00 UTC, 1d9h30m ahead of this machine"
