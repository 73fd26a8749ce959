"""The records of sweeps: a row for the listing, newest first, and a blob with everything that was found."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec

from shared import typed
from shared.errors import SweepNotFoundError
from shared.runs.rows import PARTITION
from shared.services import Services
from shared.sweeps.records import SweepReport, SweepSummary

CONTAINER = "runs"
PREFIX = "sweep_"
"""Sorts after the runs, see `shared.runs.store`."""
_LAST = "sweep`"  # the first key behind all of the prefix
_FORGOTTEN_AT_ONCE = 100


def new_id(now: datetime, owner: str) -> str:
    """Return the id of a sweep that begins now: its time, to the second, and a part of its own."""
    return f"{now.astimezone(UTC):%Y%m%d%H%M%S}-{owner[:8]}"


def save(services: Services, report: SweepReport) -> None:
    """Write a sweep's record, first what it found, then the row that points to it. Idempotency: the id."""
    services.blobs.write_small(CONTAINER, _blob(report.id), msgspec.json.encode(report))
    summary = {name: getattr(report, name) for name in SweepSummary.__struct_fields__}
    row = {"PartitionKey": PARTITION, "RowKey": _key(report.id), "Summary": msgspec.json.encode(summary).decode()}
    services.store.table.upsert_entity(row)


def summaries(services: Services, limit: int) -> list[SweepSummary]:
    """Return the newest sweeps."""
    rows = services.store.table.query_entities(
        "PartitionKey eq @partition and RowKey ge @first and RowKey lt @last",
        parameters={"partition": PARTITION, "first": PREFIX, "last": _LAST},
        results_per_page=limit,
    )
    page = next(rows.by_page(), iter(()))
    return [typed.decode(row["Summary"], SweepSummary) for row in page][:limit]


def find(services: Services, sweep_id: str) -> SweepReport:
    """Return one sweep with all it found. Raises: SweepNotFoundError."""
    data = services.blobs.read_small(CONTAINER, _blob(sweep_id)) if _is_id(sweep_id) else None
    if data is None:
        raise SweepNotFoundError(sweep_id)
    return typed.decode(data, SweepReport)


def not_reached(services: Services) -> list[str]:
    """Return the endpoints that the last sweep did not come to, if it was cut off."""
    for summary in summaries(services, 5):
        if not summary.dry_run:
            with suppress(SweepNotFoundError):
                return find(services, summary.id).not_reached if not summary.complete else []
    return []


def forget_old(services: Services, keep: timedelta) -> None:
    """Delete the records of sweeps that are older than people want to see, some at a time."""
    before = services.now() - keep
    rows = services.store.table.query_entities(
        "PartitionKey eq @partition and RowKey ge @first and RowKey lt @last",
        parameters={"partition": PARTITION, "first": _key(new_id(before, "")), "last": _LAST},
        select=["RowKey"],
        results_per_page=_FORGOTTEN_AT_ONCE,
    )
    for row in next(rows.by_page(), iter(())):
        sweep_id = row["RowKey"].removeprefix(PREFIX).partition("_")[2]
        services.blobs.delete(CONTAINER, _blob(sweep_id))
        services.store.table.delete_entity(PARTITION, row["RowKey"])


def _blob(sweep_id: str) -> str:
    return f"sweeps/{sweep_id}.json"


def _key(sweep_id: str) -> str:
    at = int(sweep_id.partition("-")[0])
    return f"{PREFIX}{99_999_999_999_999 - at:014d}_{sweep_id}"


def _is_id(text: str) -> bool:
    time, _, own = text.partition("-")
    return len(time) == 14 and time.isdigit() and own.isalnum()
