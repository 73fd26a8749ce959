"""One writer of an endpoint at a time: a row of the runs' table, written only under its ETag.

A run that deploys to an endpoint others may use holds the endpoint from before it chooses its deployment until it is
live or has ended; its state says so, and nothing has to be given back. A worker that dies leaves no lock behind it:
its run is moved on by another one. Who removes an endpoint holds it for a few minutes at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from shared.errors import EndpointBusyError, TransientError
from shared.runs.context import Context, Waiting
from shared.runs.rows import PARTITION, write_unchanged
from shared.runs.states import RunState
from shared.services import Services

REMOVAL = timedelta(minutes=5)
TRIES = 5
_NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def acquire(context: Context, endpoint: str) -> Waiting | None:
    """Take an endpoint for a run that is about to deploy; None: the run holds it.

    It is written even if the run's name stands there already: of two runs that look at the same moment at one that
    held it in an earlier life, one writes first and the other finds the row changed.
    """
    holder = _take(context.services, endpoint, context.run.id, until=_NEVER)
    return _wait_for(endpoint, holder) if holder else None


def keep(context: Context, endpoint: str) -> Waiting | None:
    """Make sure that a run still holds its endpoint, and take it if nobody does; None: it does."""
    row = _row(context.services, endpoint)
    if row is not None and row["RunId"] == context.run.id:
        return None
    return acquire(context, endpoint)


def holder_of(services: Services, endpoint: str) -> str | None:
    """Return the run that deploys to an endpoint just now, or that removes it; None: nobody."""
    row = _row(services, endpoint)
    return str(row["RunId"]) if row is not None and _holds(services, row) else None


@contextmanager
def held(services: Services, endpoint: str, run_id: str) -> Iterator[None]:
    """Hold an endpoint for the length of a `with` block, to remove something of a run from it.

    Raises: EndpointBusyError: another run deploys to it.
    """
    if (holder := _take(services, endpoint, run_id, until=services.now() + REMOVAL)) is not None:
        raise EndpointBusyError(endpoint, holder)
    try:
        yield
    finally:
        _take(services, endpoint, run_id, until=_NEVER)


def _wait_for(endpoint: str, holder: str) -> Waiting:
    return Waiting(f"run {holder}, which is being rolled out on endpoint {endpoint}")


def _take(services: Services, endpoint: str, run_id: str, *, until: datetime) -> str | None:
    """Write a run's name into the row, unless another one holds the endpoint; return that one then."""
    for _ in range(TRIES):
        row = _row(services, endpoint)
        if row is not None and row["RunId"] != run_id and _holds(services, row):
            return str(row["RunId"])
        entity = {
            "PartitionKey": PARTITION,
            "RowKey": _key(endpoint),
            "Endpoint": endpoint,
            "RunId": run_id,
            "At": services.now(),
            "Until": until,
        }
        etag = None if row is None else row.metadata["etag"]
        if write_unchanged(services.store.table, entity, etag) is not None:
            return None
    raise TransientError(f"Too many runs want endpoint {endpoint} at once.")


def _holds(services: Services, row: Any) -> bool:
    """Tell whether the run in the row still needs the endpoint for itself."""
    if row["Until"] > services.now():
        return True
    run = services.store.find(row["RunId"])
    if run is None:
        return False
    # A run that is to be deployed once more has not come to take it yet.
    took_it = run.state == RunState.REGISTERED and row["At"] >= run.state_since
    return took_it or run.state in (RunState.DEPLOYING, RunState.VERIFYING)


def _row(services: Services, endpoint: str) -> Any:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return services.store.table.get_entity(PARTITION, _key(endpoint))
    except ResourceNotFoundError:
        return None


def _key(endpoint: str) -> str:
    return f"lock_{endpoint.lower()}"  # sorts after the runs, see `store._RUNS`; Azure's names ignore case
