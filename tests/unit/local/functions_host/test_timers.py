"""Schedules, and what a host does with a timer's status when it starts."""

from datetime import UTC, datetime, timedelta

import pytest

from local.functions_host.model import RetryPolicy
from local.functions_host.schedules import Schedule, ScheduleError
from local.functions_host.timer_status import TimerStatus, at_start
from local.functions_host.timers import retry_delay

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
EVERY_FIVE = Schedule.parse("0 */5 * * * *")

AFTER = [
    ("* * * * * *", NOON + timedelta(seconds=1)),
    ("0 */15 * * * *", NOON + timedelta(minutes=15)),
    ("*/15 * * * *", NOON + timedelta(minutes=15)),
    ("00:00:07", NOON + timedelta(seconds=7)),
    ("0 0 0 13 * 5", datetime(2026, 2, 13, tzinfo=UTC)),
]


@pytest.mark.parametrize(("text", "expected"), AFTER)
def test_a_schedule_gives_the_next_occurrence(text, expected):
    assert Schedule.parse(text).after(NOON) == expected


@pytest.mark.parametrize("text", ["", "soon", "0 0 0 L * *", "0 0 0 ? * *", "0 61 * * * *", "25:00:00", "1 2 3 4"])
def test_what_ncrontab_does_not_know_is_refused(text):
    with pytest.raises(ScheduleError):
        Schedule.parse(text)


def test_occurrences_within_a_minute_are_not_monitored():
    assert Schedule.parse("*/30 * * * * *").is_too_frequent_to_monitor(NOON)
    assert not Schedule.parse("0 * * * * *").is_too_frequent_to_monitor(NOON)


def test_a_first_start_is_not_past_due():
    status, is_past_due = at_start(None, EVERY_FIVE, NOON)
    assert status == TimerStatus(None, NOON + timedelta(minutes=5), None)
    assert not is_past_due


def test_several_missed_occurrences_are_one_past_due():
    ran = NOON - timedelta(hours=2)
    kept = TimerStatus(ran, EVERY_FIVE.after(ran), ran)
    assert at_start(kept, EVERY_FIVE, NOON) == (kept, True)


def test_nothing_was_missed_before_the_next_occurrence():
    kept = TimerStatus(NOON, NOON + timedelta(minutes=5), NOON)
    assert at_start(kept, EVERY_FIVE, NOON + timedelta(minutes=1)) == (kept, False)


def test_a_changed_schedule_is_not_past_due():
    ran = NOON - timedelta(hours=2)
    kept = TimerStatus(ran, ran + timedelta(hours=1), ran)
    status, is_past_due = at_start(kept, EVERY_FIVE, NOON)
    assert status == TimerStatus(ran, NOON + timedelta(minutes=5), NOON)
    assert not is_past_due


def test_a_status_survives_its_blob():
    status = TimerStatus(None, NOON, NOON)
    document = status.document()
    assert document["Last"] == "0001-01-01T00:00:00"
    assert TimerStatus.parse(str(document).replace("'", '"').encode()) == status


def test_exponential_backoff_stays_within_its_limits():
    policy = RetryPolicy("exponential_backoff", -1, minimum_s=2, maximum_s=30)
    delays = [retry_delay(policy, count).total_seconds() for count in range(1, 60)]
    assert all(2 <= delay <= 30 for delay in delays)
    assert delays[-1] == 30
