"""Telling the world: CloudEvents to an Event Grid custom topic, when there is one. Never stops a run.

What there is to tell lies in the run's own row (`Run.outbox`), written together with the transition; it is published
afterwards and leaves the row with the next save. So every event is published at least once, always with the same id.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.identity import credential
from shared.runs.parts import OwnEvent
from shared.runs.record import ENDPOINT_RETIRED, ENDPOINT_WARNED, Run

if TYPE_CHECKING:
    from azure.eventgrid import EventGridPublisherClient

    from shared.idle.findings import Warned

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(minutes=15)
KEPT_FOR = timedelta(days=7)
"""Older news is of no use to anybody, and what nobody takes must not be tried for ever."""
_PATIENCE = {"retry_total": 0, "connection_timeout": 3, "read_timeout": 10}
_log = logging.getLogger(__name__)


class Notifier:
    """Publishes the app's own events."""

    def __init__(self, topic_endpoint: str, now: Callable[[], datetime]) -> None:
        self._topic_endpoint, self._now = topic_endpoint, now
        self._failures = 0
        self._away_until: datetime | None = None

    def publish(self, run: Run) -> None:
        """Publish what a run has to tell, oldest first; what the topic has taken leaves the run's outbox.

        A topic that does not answer is left alone for a while, by all runs: one run in so many waits for it, for some
        seconds. Idempotency: the events' ids; a subscriber that is told twice sees it.
        """
        if not self._topic_endpoint:
            run.outbox.clear()
        if not run.outbox:
            return
        now = self._now()
        _give_up_the_old(run, now)
        if not run.outbox or (run.publish_at is not None and run.publish_at > now):
            return
        if self._away_until is not None and self._away_until > now:
            run.publish_at = self._away_until + random.uniform(0, 1) * FIRST_PAUSE
        elif self._send(run):
            self._failures, self._away_until = 0, None
            run.outbox.clear()
            run.publish_attempts, run.publish_at = 0, None
        else:
            self._failures += 1
            self._away_until = now + _pause(self._failures)
            run.publish_attempts += 1
            run.publish_at = now + _pause(run.publish_attempts)

    def tell_warned(
        self, *, endpoint: str, deployment: str | None, run: Run | None, warned: Warned, reason: str
    ) -> bool:
        """Tell that an endpoint, or a deployment, will be removed; whether the topic has taken it, or there is none.

        Idempotency: the event's id, which is that of the warning; who gets False calls again with the next sweep.
        """
        if not self._topic_endpoint:
            return True
        now = self._now()
        if self._away_until is not None and self._away_until > now:
            return False
        name = f"{endpoint}/{deployment}" if deployment else endpoint
        event = {
            "specversion": "1.0",
            "id": f"{name}-warned-{warned.at:%Y%m%d%H%M%S}",
            "source": "/finetune-functions",
            "type": ENDPOINT_WARNED,
            "subject": f"endpoints/{name}",
            "time": warned.at.isoformat(),
            "data": {
                "endpoint": endpoint,
                "deployment": deployment,
                "runId": run.id if run else None,
                "project": run.project if run else None,
                "action": str(warned.action),
                "actAfter": warned.act_after.isoformat(),
                "reason": reason,
            },
        }
        if self._sent([event], f"endpoint {name}"):
            self._failures, self._away_until = 0, None
            return True
        self._failures += 1
        self._away_until = now + _pause(self._failures)
        return False

    def _send(self, run: Run) -> bool:
        """Send all at once, so that they stay in order. Returns whether the topic has taken them."""
        return self._sent([_cloud_event(run, event) for event in run.outbox], f"run {run.id}")

    def _sent(self, events: list[dict[str, Any]], of_what: str) -> bool:
        try:
            # For a custom topic the SDK drops what its client is given; it hands on what a call is given, if the events
            # are plain data. Without it, a topic that is away holds a run up for minutes.
            self._publisher.send(events, **_PATIENCE)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the work goes on
            _log.warning("%s: %d events are not published yet: %s", of_what, len(events), type(fault).__name__)
            return False
        return True

    @cached_property
    def _publisher(self) -> EventGridPublisherClient:
        from azure.eventgrid import EventGridPublisherClient

        return EventGridPublisherClient(self._topic_endpoint, credential())


def event_id(run: Run, event: OwnEvent) -> str:
    """Return the id by which a subscriber knows an event that it was told already."""
    return f"{run.id}-{event.number}"


def _cloud_event(run: Run, event: OwnEvent) -> dict[str, Any]:
    data = {"runId": run.id, "project": run.project, "endpoint": event.endpoint, "reason": event.reason}
    if event.kind == ENDPOINT_RETIRED:
        subject = f"endpoints/{event.endpoint}"
    else:
        subject = f"runs/{run.id}"
        data |= {"dataset": run.dataset.path, "from": event.from_state, "to": event.to_state}
    return {
        "specversion": "1.0",
        "id": event_id(run, event),
        "source": "/finetune-functions",
        "type": event.kind,
        "subject": subject,
        "time": event.at.isoformat(),
        "data": data,
    }


def _pause(failures: int) -> timedelta:
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * int(2 ** min(failures - 1, 20)))
    return longest * random.uniform(0.5, 1)


def _give_up_the_old(run: Run, now: datetime) -> None:
    fresh = [event for event in run.outbox if now - event.at < KEPT_FOR]
    if given_up := len(run.outbox) - len(fresh):
        _log.error("run %s: %d events were given up: the topic took none for %s", run.id, given_up, KEPT_FOR)
        run.outbox = fresh
