"""What happens to a delivery after an attempt. Pure.

Source: "Event Grid message delivery and retry" (Microsoft Learn).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from local.eventgrid.config import RETRY_SCHEDULE_S, Subscription

_SUCCESS = range(200, 205)
_NEVER_RETRIED = {400, 401, 403, 413}
_MINIMUM_S = {408: 120.0, 503: 30.0}


@dataclass(frozen=True)
class Attempt:
    """One attempt: the status that came back, None when nothing did. `number` counts from 1."""

    number: int
    status: int | None
    at: datetime

    @property
    def outcome(self) -> str:
        if self.status is None or self.status == 408:
            return "TimedOut"
        if self.status == 503:
            return "Busy"
        return _phrase(self.status)


@dataclass(frozen=True)
class Delivered:
    pass


@dataclass(frozen=True)
class Retry:
    at: datetime


@dataclass(frozen=True)
class DeadLetter:
    reason: str


Decision = Delivered | Retry | DeadLetter


def decide(
    attempt: Attempt, subscription: Subscription, published: datetime, schedule_s: Sequence[float] | None = None
) -> Decision:
    """Return what follows from an attempt. A schedule of one's own is taken as it is, without minimum waits."""
    if attempt.status in _SUCCESS:
        return Delivered()
    if attempt.status in _NEVER_RETRIED:
        return DeadLetter(f"UndeliverableDueToHttp{_phrase(attempt.status)}")
    if attempt.number >= subscription.max_attempts:
        return DeadLetter("MaxDeliveryAttemptsExceeded")
    again = attempt.at + timedelta(seconds=_wait_s(attempt, schedule_s))
    if is_expired(subscription, published, again):
        return DeadLetter("TimeToLiveExceeded")
    return Retry(again)


def is_expired(subscription: Subscription, published: datetime, moment: datetime) -> bool:
    return moment - published > subscription.time_to_live


def _wait_s(attempt: Attempt, schedule_s: Sequence[float] | None) -> float:
    steps = schedule_s or RETRY_SCHEDULE_S
    wait = float(steps[min(attempt.number, len(steps)) - 1])
    return wait if schedule_s else max(wait, _MINIMUM_S.get(attempt.status or 0, 10.0))


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase.replace(" ", "")
    except ValueError:
        return f"Status{status}"
