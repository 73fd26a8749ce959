"""One sweep at a time: a row of the runs' table with a lease, renewed as long as the sweep goes on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from shared.errors import SweepBusyError
from shared.runs.rows import PARTITION, write_unchanged
from shared.services import Services

LEASE = timedelta(minutes=3)
_KEY = "sweeping"  # sorts after the runs, see `shared.runs.store`


@dataclass
class Lock:
    """The right to sweep. Whoever holds it renews it in between."""

    services: Services
    owner: str

    def renew(self) -> None:
        """Go on holding it. Raises: SweepBusyError: it was lost, another sweep has begun."""
        row = _row(self.services)
        if row is None or row["Owner"] != self.owner or not _write(self.services, self.owner, row.metadata["etag"]):
            raise SweepBusyError("This sweep took too long between two signs of life, and another one has begun.")


@contextmanager
def held(services: Services) -> Iterator[Lock]:
    """Be the only sweep for the length of a `with` block. A sweep that dies is waited for until its lease ends.

    Raises: SweepBusyError: another sweep is going on.
    """
    owner = uuid.uuid4().hex
    row = _row(services)
    if row is not None and row["Until"] > services.now():
        raise SweepBusyError(f"Another sweep is going on, since {row['Since']:%H:%M:%S} UTC. Look at GET /api/sweeps.")
    if not _write(services, owner, None if row is None else row.metadata["etag"]):
        raise SweepBusyError("Another sweep has begun just now. Look at GET /api/sweeps.")
    try:
        yield Lock(services, owner)
    finally:
        row = _row(services)
        if row is not None and row["Owner"] == owner:
            _write(services, owner, row.metadata["etag"], lease=timedelta())


def _row(services: Services):  # type: ignore[no-untyped-def]  # a TableEntity, which is untyped
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return services.store.table.get_entity(PARTITION, _KEY)
    except ResourceNotFoundError:
        return None


def _write(services: Services, owner: str, etag: str | None, lease: timedelta = LEASE) -> bool:
    """Write the row if it is still what was read; False when another worker was faster."""
    now = services.now()
    entity = {"PartitionKey": PARTITION, "RowKey": _KEY, "Owner": owner, "Since": now, "Until": now + lease}
    return write_unchanged(services.store.table, entity, etag) is not None
