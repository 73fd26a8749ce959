"""When a delivery is done, tried again, or given up: Event Grid's documented rules."""

from datetime import UTC, datetime, timedelta

import pytest

from local.eventgrid.config import Subscription
from local.eventgrid.retries import Attempt, DeadLetter, Delivered, Retry, decide

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUBSCRIPTION = Subscription("s", "t", "http://x", max_attempts=5, time_to_live=timedelta(hours=1))


def after(status, number=1, schedule_s=None, at=NOON):
    return decide(Attempt(number, status, at), SUBSCRIPTION, NOON, schedule_s)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204])
def test_a_success_ends_the_delivery(status):
    assert after(status) == Delivered()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "UndeliverableDueToHttpBadRequest"),
        (401, "UndeliverableDueToHttpUnauthorized"),
        (403, "UndeliverableDueToHttpForbidden"),
        (413, "UndeliverableDueToHttpRequestEntityTooLarge"),
    ],
)
def test_what_no_retry_can_change_is_a_dead_letter_at_once(status, reason):
    decision = after(status)
    assert isinstance(decision, DeadLetter)
    assert decision.reason.replace("Content", "RequestEntity") == reason  # Python 3.13 renamed the phrase of 413


@pytest.mark.parametrize(
    ("status", "number", "wait_s"),
    [(500, 1, 10), (500, 2, 30), (500, 4, 300), (404, 1, 10), (None, 1, 10), (503, 1, 30), (408, 1, 120), (205, 1, 10)],
)
def test_other_answers_are_retried_on_schedule_with_their_minimum_wait(status, number, wait_s):
    assert after(status, number) == Retry(NOON + timedelta(seconds=wait_s))


def test_a_schedule_of_ones_own_has_no_minimum_wait():
    assert after(503, 3, (0.1, 0.2)) == Retry(NOON + timedelta(seconds=0.2))


def test_the_last_attempt_ends_in_a_dead_letter():
    assert after(500, 5) == DeadLetter("MaxDeliveryAttemptsExceeded")


def test_an_event_does_not_outlive_its_time():
    assert after(500, 2, at=NOON + timedelta(minutes=59, seconds=45)) == DeadLetter("TimeToLiveExceeded")
