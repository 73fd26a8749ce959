"""What the sweep remembers of an endpoint from one pass to the next: the truth about warnings; tags only show them.

One row for each endpoint, and one for each deployment that is looked at by itself. A row is written only under its
ETag, so that a request to keep an endpoint is never lost under a sweep that is at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from shared.idle.findings import Warned
from shared.idle.policy import Action
from shared.runs.rows import PARTITION, write_unchanged
from shared.services import Services

PREFIX = "idle_"
"""Sorts after the runs, see `shared.runs.store`."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is remembered. told: whether the event of the warning was taken; tagged: whether the tag was set.

    written_at: when the sweep itself last changed the endpoint, or was about to: not a change that speaks of use.
    drained: the deployment that the sweep took the traffic from, to delete it.
    """

    endpoint: str
    deployment: str | None = None
    warned: Warned | None = None
    reason: str = ""
    told: bool = False
    tagged: bool = False
    written_at: datetime | None = None
    keep_until: datetime | None = None
    drained: str = ""
    etag: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is worth keeping."""
        return not (self.warned or self.written_at or self.keep_until or self.drained)


def recall_all(services: Services) -> Mapping[tuple[str, str | None], Memory]:
    """Return everything that is remembered, in one query."""
    rows = services.store.table.query_entities(
        "PartitionKey eq @partition and RowKey ge @first and RowKey lt @last",
        parameters={"partition": PARTITION, "first": PREFIX, "last": _after(PREFIX)},
    )
    found = [_memory(row) for row in rows]
    return {(one.endpoint.lower(), one.deployment): one for one in found}


def recall(services: Services, endpoint: str, deployment: str | None = None) -> Memory:
    """Return what is remembered of one; nothing is something too."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return _memory(services.store.table.get_entity(PARTITION, _key(endpoint, deployment)))
    except ResourceNotFoundError:
        return Memory(endpoint=endpoint, deployment=deployment)


def remember(services: Services, memory: Memory) -> Memory | None:
    """Write it; None when another worker has changed the row since it was read: look again."""
    etag = write_unchanged(services.store.table, _entity(memory), memory.etag)
    return None if etag is None else replace(memory, etag=etag)


def forget(services: Services, endpoint: str, deployment: str | None = None) -> None:
    """Forget one. Idempotency: what is not there needs nothing."""
    services.store.table.delete_entity(PARTITION, _key(endpoint, deployment))


def _memory(row: Any) -> Memory:
    warned = None
    if row.get("WarnedAt") is not None:
        at, act_after = _time(row, "WarnedAt"), _time(row, "ActAfter")
        assert at is not None, "a warning has its time"
        assert act_after is not None, "a warning has its date"
        warned = Warned(at=at, act_after=act_after, action=Action(row["Action"]))
    return Memory(
        endpoint=row["Endpoint"],
        deployment=row["Deployment"] or None,
        warned=warned,
        reason=row["Reason"],
        told=row["Told"],
        tagged=row["Tagged"],
        written_at=_time(row, "WrittenAt"),
        keep_until=_time(row, "KeepUntil"),
        drained=row.get("Drained") or "",
        etag=row.metadata["etag"],
    )


def _time(row: Any, name: str) -> datetime | None:
    """Return a time as a plain datetime: the SDK's is a class of its own, which cannot be encoded."""
    value = row.get(name)
    return None if value is None else datetime.fromtimestamp(value.timestamp(), UTC)


def _entity(memory: Memory) -> dict[str, Any]:
    warned = memory.warned
    times = {
        "WarnedAt": warned.at if warned else None,
        "ActAfter": warned.act_after if warned else None,
        "WrittenAt": memory.written_at,
        "KeepUntil": memory.keep_until,
    }
    return {
        "PartitionKey": PARTITION,
        "RowKey": _key(memory.endpoint, memory.deployment),
        "Endpoint": memory.endpoint,
        "Deployment": memory.deployment or "",
        "Action": str(warned.action) if warned else "",
        "Reason": memory.reason[:500],
        "Told": memory.told,
        "Tagged": memory.tagged,
        "Drained": memory.drained,
        **{name: value for name, value in times.items() if value is not None},
    }


def _key(endpoint: str, deployment: str | None) -> str:
    of_deployment = f"~{deployment.lower()}" if deployment else ""
    return f"{PREFIX}{endpoint.lower()}{of_deployment}"  # Azure's names ignore case, and hold no tilde


def _after(prefix: str) -> str:
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
