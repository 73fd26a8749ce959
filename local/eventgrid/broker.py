"""Accept events for a topic: keep them for every subscription that wants them, and write them to the log."""

import json
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from local import names
from local.eventgrid.config import Subscription
from local.eventgrid.events import Event, completed
from local.eventgrid.store import Store

_LOG_LIMIT = 20 * 1024 * 1024
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
    ) -> None:
        self._subscriptions = subscriptions
        self._topics = {names.STORAGE_TOPIC, names.WORKSPACE_TOPIC, names.EVENTS_TOPIC}
        self._topics |= {one.topic for one in subscriptions}
        self._store = store
        self._log = log
        self._now = now
        self._wake = wake

    def publish(self, topic: str, events: Iterable[Event]) -> None:
        """Accept events. Raises: UnknownTopicError; FullError: a subscriber has not fetched for too long."""
        if topic not in self._topics:
            raise UnknownTopicError(f"no topic {topic}; there are {', '.join(sorted(self._topics))}")
        accepted = [completed(event, topic_id(topic)) for event in events]
        self._store.add(self._deliveries(topic, accepted), self._now())
        self._announce(topic, accepted)

    def publish_blobs(self, container: str, changes: dict[str, str | None], events: list[Event]) -> None:
        """Accept events made of blobs and note the blobs as seen, in one transaction."""
        deliveries = self._deliveries(names.STORAGE_TOPIC, events)
        self._store.see(container, changes, deliveries, self._now())
        self._announce(names.STORAGE_TOPIC, events)

    def _deliveries(self, topic: str, events: list[Event]) -> list[tuple[str, Event]]:
        return [(one.name, event) for event in events for one in self._subscriptions if one.wants(topic, event)]

    def _announce(self, topic: str, events: list[Event]) -> None:
        self._log.append(topic, events, self._now())
        self._wake({name for name, _ in self._deliveries(topic, events)})


class EventLog:
    """`events.jsonl`: every accepted event, for people and tests. Older than 20 MB is in `events.jsonl.1`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()

    def append(self, topic: str, events: list[Event], now: datetime) -> None:
        with self._lock:
            if self._path.exists() and self._path.stat().st_size > _LOG_LIMIT:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            with self._path.open("a") as file:
                for event in events:
                    file.write(json.dumps({"accepted": now.isoformat(), "topic": topic, "event": event}) + "\n")
