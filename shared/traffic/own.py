"""The requests that this app makes itself: smoke tests and chats. They are no use, so they are kept to be subtracted.

One row a request, in the runs' table and partition; the keys sort after the runs and by time.
"""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared.runs.rows import PARTITION
from shared.traffic.readings import OwnRequest

if TYPE_CHECKING:
    from shared.services import Services

_log = logging.getLogger(__name__)
_PREFIX = "own_"
_LONGEST = timedelta(minutes=10)  # rows are found by their start; no request takes so long
_BATCH = 100  # operations that one transaction may have


def record(services: Services, endpoint: str, deployment: str | None, started: datetime, ended: datetime) -> None:
    """Keep in mind that this app asked an endpoint, once the answer is there.

    Args: deployment: the one that answered; None: not known, and then nothing is kept, since it would not be known
    whose request to subtract. A request that is not kept counts as use.
    Whatever goes wrong is only logged: the answer is there and must reach whoever asked.
    """
    if deployment is None:
        return
    row = {
        "PartitionKey": PARTITION,
        "RowKey": f"{_key(started)}_{secrets.token_hex(4)}",
        "Endpoint": endpoint,
        "Deployment": deployment,
        "Started": started,
        "Ended": ended,
    }
    try:
        services.store.table.create_entity(row)
    except Exception as fault:  # noqa: BLE001 - see above
        _log.warning("a request to %s/%s counts as use: it was not kept (%s)", endpoint, deployment, fault)


def recorded(services: Services, since: datetime) -> Mapping[str, list[OwnRequest]]:
    """Return this app's requests since a time, by endpoint, oldest first."""
    rows = services.store.table.query_entities(
        "PartitionKey eq @partition and RowKey ge @first and RowKey lt @last",
        parameters={"partition": PARTITION, "first": _key(since - _LONGEST), "last": f"{_PREFIX}~"},
        select=["Endpoint", "Deployment", "Started", "Ended"],
    )
    found: dict[str, list[OwnRequest]] = defaultdict(list)
    for row in rows:
        request = OwnRequest(row["Endpoint"], row["Deployment"], row["Started"], row["Ended"])
        if request.ended >= since:
            found[request.endpoint].append(request)
    return found


def forget(services: Services, before: datetime) -> int:
    """Delete the requests that began before a time; return how many. Idempotency: what is gone is not found."""
    from azure.data.tables import TableTransactionError

    table = services.store.table
    rows = table.query_entities(
        "PartitionKey eq @partition and RowKey ge @first and RowKey lt @last",
        parameters={"partition": PARTITION, "first": _PREFIX, "last": _key(before)},
        select=["PartitionKey", "RowKey"],
    )
    keys = [(row["PartitionKey"], row["RowKey"]) for row in rows]
    for at in range(0, len(keys), _BATCH):
        batch = [("delete", {"PartitionKey": part, "RowKey": key}) for part, key in keys[at : at + _BATCH]]
        try:
            table.submit_transaction(batch)
        except TableTransactionError as fault:
            if fault.status_code != 404:  # else another worker is deleting the same ones
                raise
    return len(keys)


def _key(moment: datetime) -> str:
    return f"{_PREFIX}{moment.astimezone(UTC):%Y%m%d%H%M%S}"
