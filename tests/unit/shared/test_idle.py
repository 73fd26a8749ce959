from datetime import UTC, datetime, timedelta

import pytest

from shared.idle import IdlePolicy, judge

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLICY = IdlePolicy(idle_after=8 * HOUR, grace=HOUR)


@pytest.mark.parametrize(
    ("age", "requests", "idle", "said"),
    [
        (9 * HOUR, 0.0, True, "no request in the last 8 h"),
        (8 * HOUR, 0.0, True, "no request"),
        (8 * HOUR - timedelta(seconds=1), 0.0, False, "old"),
        (9 * HOUR, 1.0, False, "1 requests in the last 8 h"),
        (9 * HOUR, 0.01, False, "requests"),
        (9 * HOUR, None, False, "its traffic is unknown"),
    ],
)
def test_idle_is_old_enough_and_without_any_request(
    age: timedelta, requests: float | None, idle: bool, said: str
) -> None:
    verdict = judge(POLICY, created_at=NOW - age, requests=requests, now=NOW)
    assert verdict.idle is idle
    assert said in verdict.reason


def test_unknown_age_is_not_idle() -> None:
    assert not judge(POLICY, created_at=None, requests=0.0, now=NOW).idle


def test_kept_is_not_idle() -> None:
    policy = IdlePolicy(idle_after=HOUR, grace=HOUR, keep=True)
    assert not judge(policy, created_at=NOW - 9 * HOUR, requests=0.0, now=NOW).idle


def test_a_longer_grace_period_wins() -> None:
    policy = IdlePolicy(idle_after=timedelta(minutes=5), grace=2 * HOUR)
    assert not judge(policy, created_at=NOW - HOUR, requests=0.0, now=NOW).idle
    assert judge(policy, created_at=NOW - 2 * HOUR, requests=0.0, now=NOW).idle
