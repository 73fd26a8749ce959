"""Accept events for a topic: keep them for every subscription that wants them, and write them to the log."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from local import names
from local.eventgrid.config import Subscription
from local.eventgrid.events import Event, completed
from local.eventgrid.journal import Journal
from local.eventgrid.mishaps import Mishaps
from local.eventgrid.store import Store

ACCOUNT_ID = f"{names.RESOURCE_GROUP_ID}/providers/Microsoft.Storage/storageAccounts/devstoreaccount1"
TOPIC_IDS = {names.STORAGE_TOPIC: ACCOUNT_ID, names.WORKSPACE_TOPIC: names.WORKSPACE_ID}


class UnknownTopicError(LookupError):
    """There is no such topic."""


def topic_id(topic: str) -> str:
    """Return the Azure resource id that the events of a topic carry."""
    return TOPIC_IDS.get(topic) or f"{names.RESOURCE_GROUP_ID}/providers/Microsoft.EventGrid/topics/{topic}"


class Broker:
    """`wake` is called with the names of the subscriptions that have something new."""

    def __init__(
        self,
        subscriptions: tuple[Subscription, ...],
        store: Store,
        log: "EventLog",
        now: Callable[[], datetime],
        wake: Callable[[set[str]], None],
        mishaps: Mishaps,
    ) -> None:
        self._subscriptions = subscriptions
        self._topics = {names.STORAGE_TOPIC, names.WORKSPACE_TOPIC, names.EVENTS_TOPIC}
        self._topics |= {one.topic for one in subscriptions}
        self._store = store
        self._log = log
        self._now = now
        self._wake = wake
        self._mishaps = mishaps

    def publish(self, topic: str, events: Iterable[Event]) -> None:
        """Accept events. Raises: UnknownTopicError; FullError: a subscriber has not fetched for too long."""
        if topic not in self._topics:
            raise UnknownTopicError(f"no topic {topic}; there are {', '.join(sorted(self._topics))}")
        accepted = [self._mishaps.timed(completed(event, topic_id(topic))) for event in events]
        self._store.add(self._deliveries(topic, accepted), self._now())
        self._announce(topic, accepted)

    def publish_blobs(self, container: str, changes: dict[str, str | None], events: list[Event]) -> None:
        """Accept events made of blobs and note the blobs as seen, in one transaction."""
        events = [self._mishaps.timed(event) for event in events]
        deliveries = self._deliveries(names.STORAGE_TOPIC, events)
        self._store.see(container, changes, deliveries, self._now())
        self._announce(names.STORAGE_TOPIC, events)

    def _deliveries(self, topic: str, events: list[Event]) -> list[tuple[str, Event, float]]:
        """Return who gets which event, and after how many seconds."""
        return [
            (one.name, event, late_s)
            for event in events
            for late_s in self._mishaps.comings(event)
            for one in self._subscriptions
            if one.wants(topic, event)
        ]

    def _announce(self, topic: str, events: list[Event]) -> None:
        self._log.append(topic, events, self._now())
        self._wake({one.name for one in self._subscriptions if one.topic == topic})


class EventLog:
    """`events.jsonl`: every accepted event, whatever became of it afterwards."""

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)

    def append(self, topic: str, events: list[Event], now: datetime) -> None:
        self._journal.write({"accepted": now.isoformat(), "topic": topic, "event": event} for event in events)
