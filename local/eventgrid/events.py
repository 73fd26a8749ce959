"""Event Grid events and CloudEvents: read what a publisher sends, write what a subscriber gets. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from local.eventgrid.config import CLOUD_EVENT_SCHEMA

Event = dict[str, Any]
_REQUIRED = {
    True: ("id", "source", "type", "specversion"),
    False: ("id", "subject", "eventType", "eventTime", "dataVersion"),
}


class EventError(ValueError):
    """The body is not what Event Grid accepts."""


def parse(body: bytes) -> list[Event]:
    """Return the events of a published body: an array, or one event.

    Raises: EventError: no JSON, no events, or an event without a required property.
    """
    try:
        document = json.loads(body)
    except ValueError as error:
        raise EventError(f"The request body is not JSON: {error}") from error
    events = document if isinstance(document, list) else [document]
    if not events:
        raise EventError("The request body holds no event.")
    for event in events:
        _check(event)
    return events


def _check(event: Any) -> None:
    if not isinstance(event, dict):
        raise EventError("Every event must be a JSON object.")
    missing = [name for name in _REQUIRED[is_cloud_event(event)] if event.get(name) is None]
    if missing:
        raise EventError(f"This resource is configured to receive event in a fixed schema; missing: {missing}.")


def is_cloud_event(event: Mapping[str, Any]) -> bool:
    return "specversion" in event


def completed(event: Event, topic_id: str) -> Event:
    """Add what Event Grid itself adds: the topic and the metadata version."""
    if is_cloud_event(event):
        return event
    return {"topic": topic_id, "metadataVersion": "1"} | event


def in_schema(event: Event, schema: str) -> Event:
    """Return an event in a subscription's schema. CloudEvents stay CloudEvents: Azure does not turn them back."""
    if schema != CLOUD_EVENT_SCHEMA or is_cloud_event(event):
        return event
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": event["topic"],
        "subject": event["subject"],
        "type": event["eventType"],
        "time": event["eventTime"],
        "data": event.get("data"),
    }
