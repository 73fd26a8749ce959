"""Compute clusters: how one comes into being, and what it looks like at a moment. No HTTP, no clock.

No machine stands behind a cluster here: jobs run as processes beside it. Only its states are Azure's.
"""

from datetime import datetime, timedelta
from typing import Any

from local.azureml.http import timestamp

Document = dict[str, Any]

# Recorded: a cluster was Succeeded 9.7 s after its PUT, and Resizing for 8.3 s more.
CREATE_S = 9.7
RESIZE_S = 8.3
DELETE_S = 10.0


def provisioning_state(doc: Document, now: datetime) -> str:
    if doc["delete_ends"] is not None:
        return "Deleting"
    if now >= _time(doc["ready_at"]):
        return "Failed" if doc.get("fails") else "Succeeded"
    return "Updating" if doc["updated"] else "Creating"


def allocation_state(doc: Document, now: datetime) -> str | None:
    """Answer None while creating, then Resizing, then Steady."""
    if provisioning_state(doc, now) == "Creating":
        return None
    return "Steady" if now >= _time(doc["steady_at"]) else "Resizing"


def exists(doc: Document, now: datetime) -> bool:
    return doc["delete_ends"] is None or now < _time(doc["delete_ends"])


def created(properties: Document, location: str, tags: Document | None, now: datetime, speed: float) -> Document:
    ready = now + timedelta(seconds=CREATE_S / speed)
    return {
        "location": location,
        "tags": tags,
        "properties": properties,
        "created": timestamp(now),
        "updated": False,
        "ready_at": timestamp(ready),
        "steady_at": timestamp(ready + timedelta(seconds=RESIZE_S / speed)),
        "delete_ends": None,
    }


def updated(old: Document, fresh: Document) -> Document:
    """Change an existing cluster: it keeps its birthday, and what its PUT may not change."""
    return {**fresh, "created": old["created"], "updated": True}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def deletion_end(now: datetime, speed: float) -> str:
    return timestamp(now + timedelta(seconds=DELETE_S / speed))
