"""A run as a row of Azure Table Storage: the columns that are searched for, and the record itself in chunks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from shared import typed
from shared.runs.fitting import fit
from shared.runs.pairs import folder_of
from shared.runs.record import Run, is_in_line, is_under_way, wants_work
from shared.runs.states import RunState

if TYPE_CHECKING:
    from azure.data.tables import TableClient

PARTITION = "run"
# A property holds 64 KiB of UTF-16, so at least 16 Ki characters; the record is spread over as many as it needs.
CHUNK = 16_000
NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_encode, _decode = msgspec.json.Encoder().encode, typed.decoder(Run).decode


def row_key(run_id: str) -> str:
    """Return a run's row key: rows are sorted by it, so its time counts backwards to have the newest run first."""
    at = int(run_id.rsplit("-", 2)[1])
    return f"{99_999_999_999_999 - at:014d}_{run_id}"


def entity_of(run: Run, owner: str, lease_until: datetime) -> dict[str, Any]:
    """Turn a run into a row: the columns that are searched for, and the record itself in chunks.

    A record that is too long for a row is shortened first, see `shared.runs.fitting`.
    """
    fit(run)
    dataset = run.dataset
    moves = wants_work(run) and not is_in_line(run)
    return {
        "PartitionKey": PARTITION,
        "RowKey": row_key(run.id),
        "RunId": run.id,
        "Project": run.project,
        "State": run.state.value,
        "Dataset": dataset.path,
        "Endpoint": run.endpoint or "",
        "Moving": moves or bool(run.outbox),
        "UnderWay": is_under_way(run),
        "InLine": is_in_line(run),
        "Ticket": run.ticket or "",
        "Waits": _waits(run),
        "CreatedAt": run.created_at,
        "LookedAt": run.updated_at,
        "DueAt": (run.next_attempt_at if moves else run.publish_at) or NEVER,
        "LeaseOwner": owner,
        "LeaseUntil": lease_until,
        **in_chunks(_encode(run).decode()),
    }


def run_of(entity: Any) -> Run:
    """Read a run from its row."""
    return _decode(from_chunks(entity).encode())


def write_unchanged(table: TableClient, row: dict[str, Any], etag: str | None) -> str | None:
    """Write a row if it is still what was read (etag None: if there is none), and return its new ETag.

    Returns: None: another worker was faster; read it again.
    """
    from azure.core import MatchConditions
    from azure.core.exceptions import HttpResponseError
    from azure.data.tables import UpdateMode

    try:
        if etag is None:
            written = table.create_entity(row)
        else:
            written = table.update_entity(
                row, mode=UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
            )
    except HttpResponseError as conflict:
        is_gone = conflict.status_code == 404 and etag is not None
        if is_gone or conflict.status_code in (409, 412):
            return None
        raise
    return str(written["etag"])


def in_chunks(record: str) -> dict[str, str]:
    """Spread a text over as many properties as it needs."""
    return {f"Record{i}": record[at : at + CHUNK] for i, at in enumerate(range(0, len(record), CHUNK))}


def from_chunks(entity: Any) -> str:
    """Put the text together again."""
    return "".join(entity[key] for i in range(len(entity)) if (key := f"Record{i}") in entity)


def _waits(run: Run) -> str:
    """Return the folder in which an upload may matter to a run: it waits for one, or must be told of its test file.

    Container and folder, as in `datasets/bot/`; empty when no upload matters: the run is only in line, or has begun.
    """
    tested_with = run.options.get("dataset", {}).get("test")
    if run.state != RunState.RECEIVED or (is_in_line(run) and not tested_with):
        return ""
    return f"{run.dataset.container}/{folder_of(run.dataset.blob)}"
