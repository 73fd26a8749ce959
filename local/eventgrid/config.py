"""The configuration file: which containers are watched, who gets which events."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

EVENT_GRID_SCHEMA = "EventGridSchema"
CLOUD_EVENT_SCHEMA = "CloudEventSchemaV1_0"
# Microsoft's documented schedule; "up to 24 hours" ends in steps of twelve.
RETRY_SCHEDULE_S = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)


class ConfigError(ValueError):
    """The file is not usable; the message names the field."""


@dataclass(frozen=True)
class Subscription:
    """Who gets which events of a topic. Empty `event_types` means every type."""

    name: str
    topic: str
    endpoint: str
    event_types: frozenset[str] = frozenset()
    subject_begins_with: str = ""
    schema: str = EVENT_GRID_SCHEMA
    dead_letter_container: str | None = None
    max_attempts: int = 30
    time_to_live: timedelta = timedelta(minutes=1440)

    def wants(self, topic: str, event: Mapping[str, Any]) -> bool:
        """Tell whether an event passes the filters; the subject's case does not matter, as by default in Azure."""
        kind = str(event.get("eventType") or event.get("type"))
        return (
            topic == self.topic
            and (not self.event_types or kind in self.event_types)
            and str(event.get("subject", "")).lower().startswith(self.subject_begins_with.lower())
        )

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> "Subscription":
        missing = [name for name in ("name", "topic", "endpoint") if not document.get(name)]
        if missing:
            raise ConfigError(f"subscription {document.get('name', '?')}: {', '.join(missing)} not given")
        name = str(document["name"])
        schema = document.get("schema") or EVENT_GRID_SCHEMA
        if schema not in (EVENT_GRID_SCHEMA, CLOUD_EVENT_SCHEMA):
            raise ConfigError(f"subscription {name}: schema is {schema!r}; {EVENT_GRID_SCHEMA} or {CLOUD_EVENT_SCHEMA}")
        attempts, minutes = document.get("maxDeliveryAttempts", 30), document.get("eventTimeToLiveMinutes", 1440)
        if not 1 <= attempts <= 30 or not 1 <= minutes <= 1440:
            raise ConfigError(f"subscription {name}: maxDeliveryAttempts is 1-30, eventTimeToLiveMinutes 1-1440")
        return cls(
            name=name,
            topic=str(document["topic"]),
            endpoint=str(document["endpoint"]),
            event_types=frozenset(document.get("includedEventTypes") or ()),
            subject_begins_with=document.get("subjectBeginsWith") or "",
            schema=schema,
            dead_letter_container=document.get("deadLetterContainer"),
            max_attempts=attempts,
            time_to_live=timedelta(minutes=minutes),
        )


@dataclass(frozen=True)
class Config:
    """`retry_schedule_s` None: Event Grid's own, with its minimum waits."""

    watch: tuple[str, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    retry_schedule_s: tuple[float, ...] | None = None

    @classmethod
    def read(cls, path: Path) -> "Config":
        """Raises: ConfigError: no JSON object, or a subscription that cannot be."""
        try:
            document = json.loads(path.read_text())
            subscriptions = tuple(Subscription.parse(one) for one in document.get("subscriptions", ()))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        names = [one.name for one in subscriptions]
        if len(set(names)) != len(names):
            raise ConfigError(f"{path}: two subscriptions have the same name")
        schedule = document.get("retrySchedule")
        return cls(tuple(document.get("watch", ())), subscriptions, tuple(schedule) if schedule else None)
