"""Runs in Azure Table Storage: one row a run, written only under its ETag, worked on only by claim."""

from __future__ import annotations

import base64
import json
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from shared.errors import InvalidRequestError, RunBusyError, RunNotFoundError
from shared.identity import PATIENCE, credential
from shared.runs.claim import Claim
from shared.runs.names import is_run_id
from shared.runs.record import Run
from shared.runs.rows import NEVER, PARTITION, entity_of, row_key, run_of
from shared.runs.states import ENGAGED, MOVING, RunState
from shared.settings import StorageAddress

if TYPE_CHECKING:
    from azure.data.tables import TableClient

TABLE = "finetuneruns"
# Rows of contents and of versions lie in the same partition, because a transaction cannot leave it; their keys sort
# after those of all runs.
_RUNS = f"PartitionKey eq '{PARTITION}' and RowKey lt 'content_'"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """A page of runs, newest first; next_token continues the listing."""

    runs: list[Run]
    next_token: str | None


class RunStore:
    """The table of runs."""

    def __init__(self, address: StorageAddress, *, now: Callable[[], datetime], lease: timedelta) -> None:
        self.now, self.lease = now, lease
        self._address = address
        self._table: TableClient | None = None

    def create(self, run: Run, version_key: str, content_key: str | None) -> Run:
        """Insert a run, or return the one that is there for the same delivery, or for the same content.

        Args: version_key: of the blob's version, for `run_of_version`. content_key: of the dataset and the options;
        None: the content is not known before it is read.
        Idempotency: run and content key are inserted in one transaction, so that of two deliveries one wins.
        Raises: RunBusyError: the content's owner kept changing.
        """
        version = {"PartitionKey": PARTITION, "RowKey": f"version_{version_key}", "RunId": run.id}
        rows = [("create", entity_of(run, owner="", lease_until=NEVER)), ("upsert", version)]
        for _ in range(3):
            owner, change = self._content_owner(run.id, content_key)
            if owner is not None:
                # This version is spoken for, also when its owner's endpoint has gone: nothing was missed.
                self.table.upsert_entity({**version, "RunId": owner.id})
                return owner
            if self._inserted([*rows, *change]):
                return run
            if existing := self.find(run.id):
                return existing
        raise RunBusyError(f"{run.dataset.path} is being received by others just now; try again in a moment")

    def _content_owner(self, run_id: str, content_key: str | None) -> tuple[Run | None, list[Any]]:
        """Return the run that speaks for this content, or else what to write to make it this run."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceNotFoundError

        if content_key is None:
            return None, []
        row = {"PartitionKey": PARTITION, "RowKey": f"content_{content_key}", "RunId": run_id}
        try:
            found = self.table.get_entity(PARTITION, row["RowKey"])
        except ResourceNotFoundError:
            return None, [("create", row)]
        owner = self.find(found["RunId"])
        speaks = owner is not None and owner.state in ENGAGED and not owner.cancel_requested
        if owner is not None and (owner.id == run_id or speaks):
            return owner, []
        condition = {"etag": found.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
        return None, [("update", row, condition)]

    def remember(self, version_key: str) -> None:
        """Keep in mind that a version of a blob needs no run, for `run_of_version`. Idempotency: the key."""
        from azure.core.exceptions import ResourceExistsError

        with suppress(ResourceExistsError):
            self.table.create_entity({"PartitionKey": PARTITION, "RowKey": f"version_{version_key}", "RunId": ""})

    def run_of_version(self, version_key: str) -> str | None:
        """Return the id of the run that a version of a blob has, with whatever options.

        Returns: "" when it was received and needs none; None when it was not received.
        """
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return str(self.table.get_entity(PARTITION, f"version_{version_key}", select=["RunId"])["RunId"])
        except ResourceNotFoundError:
            return None

    def _inserted(self, changes: list[Any]) -> bool:
        """Insert a run with the rows that go with it; False when one of them was there or has changed."""
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError
        from azure.data.tables import TableTransactionError

        try:
            self.table.submit_transaction(changes)
        except (ResourceExistsError, ResourceModifiedError):
            return False
        except TableTransactionError as fault:
            if fault.status_code in (409, 412):
                return False
            raise
        return True

    def find(self, run_id: str) -> Run | None:
        """Return a run, None when there is none of this id."""
        try:
            return run_of(self.entity(run_id))
        except RunNotFoundError:
            return None

    def get(self, run_id: str) -> Run:
        """Return a run. Raises: RunNotFoundError."""
        return run_of(self.entity(run_id))

    @contextmanager
    def claim(self, run_id: str) -> Iterator[Claim]:
        """Hold a run for the length of a `with` block; what the block leaves in `claim.run` is saved at its end.

        Raises: RunNotFoundError; RunBusyError: another worker holds it.
        """
        entity = self.entity(run_id)
        if entity["LeaseUntil"] > self.now():
            raise RunBusyError(f"run {run_id} is being worked on; try again in a moment")
        owner = uuid.uuid4().hex
        run = run_of(entity)
        if entity["LeaseUntil"] > NEVER:
            # Whoever held the run never gave it back. A step that kills its worker must not do so for ever.
            run.crashes += 1
            run.trouble_since = run.trouble_since or self.now()
        etag = self.replace(run, entity.metadata["etag"], owner, self.now() + self.lease)
        if etag is None:
            raise RunBusyError(f"run {run_id} was just taken by another worker; try again in a moment")
        claim = Claim(self, run, etag, owner)
        yield claim
        claim.save(release=True)

    def request_cancel(
        self, run_id: str, *, reason: str | None = None, when: Callable[[Run], bool] = lambda _: True
    ) -> Run:
        """Record the wish to cancel, even while a worker holds the run.

        Args: reason: why, when it is not a person's wish. when: what must hold of the run, else nothing is recorded.
        Raises: RunNotFoundError; RunBusyError: the row kept changing.
        """
        for _ in range(5):
            entity = self.entity(run_id)
            run = run_of(entity)
            if run.cancel_requested or not when(run):
                return run
            run.cancel_requested, run.cancel_reason = True, reason
            if self.replace(run, entity.metadata["etag"], entity["LeaseOwner"], entity["LeaseUntil"]) is not None:
                return run
        raise RunBusyError(f"run {run_id} keeps changing; try again in a moment")

    def due(self, now: datetime, limit: int = 1000) -> list[str]:
        """Return the ids of runs that can be moved on now, then of those that only have something to tell: events, or
        what a worker that died at their end has not told.

        Of each, the one that was looked at the longest ago comes first.
        """
        rows = self.table.query_entities(
            # The SDK wants a parameter to stand alone: no bracket behind it.
            f"{_RUNS} and LeaseUntil le @now and ((DueAt le @now and Moving eq true) or LeaseUntil gt @never )",
            parameters={"now": now, "never": NEVER},
            select=["RunId", "State", "LookedAt"],
        )
        in_order = sorted(rows, key=lambda row: (row["State"] not in MOVING, row["LookedAt"]))
        return [row["RunId"] for row in in_order[:limit]]

    def select(self, condition: str, columns: Sequence[str], **parameters: Any) -> list[Mapping[str, Any]]:
        """Return a few columns of the runs of which a condition holds: oldest dataset first, of those of one second,
        which is as fine as their times are, the one that was received first."""
        wanted = [*columns, "RowKey", "CreatedAt"]
        found = self.table.query_entities(f"{_RUNS} and ({condition})", parameters=parameters, select=wanted)
        return sorted(found, key=lambda row: (-int(row["RowKey"].partition("_")[0]), row["CreatedAt"]))

    def waiting_in(self, folder: str) -> list[Run]:
        """Return the received runs of a folder that an upload into it may matter to."""
        rows = self.table.query_entities(f"{_RUNS} and Waits eq @folder", parameters={"folder": folder})
        return _readable(rows)

    def rivals(self, run: Run) -> list[Run]:
        """Return the other runs on a run's dataset that may not have trained yet, or that are as new or newer."""
        states = (RunState.RECEIVED, RunState.PREPARING, RunState.PREPARED, RunState.HELD)
        # Runs on one dataset have the same slug, so that their ids are sorted by the time of their versions.
        newer_or = " or ".join(["RunId ge @same_time", *(f"State eq '{state.value}'" for state in states)])
        rows = self.table.query_entities(
            f"{_RUNS} and Dataset eq @path and ({newer_or})",
            parameters={"path": run.dataset.path, "same_time": run.id.rpartition("-")[0]},
        )
        return [other for other in _readable(rows) if other.id != run.id]

    def in_state(self, state: RunState) -> list[Run]:
        """Return all runs of one state."""
        rows = self.table.query_entities(f"{_RUNS} and State eq @state", parameters={"state": state.value})
        return _readable(rows)

    def in_states(self, states: Iterable[RunState]) -> list[Run]:
        """Return all runs of some states, in one query."""
        condition = " or ".join(f"State eq '{state.value}'" for state in sorted(states))
        return _readable(self.table.query_entities(f"{_RUNS} and ({condition})"))

    def untouched(self, states: Iterable[RunState], since: datetime, until: datetime) -> list[Run]:
        """Return the runs of some states that were last written after one time and until another, oldest first."""
        condition = " or ".join(f"State eq '{state.value}'" for state in sorted(states))
        rows = self.table.query_entities(
            f"{_RUNS} and LookedAt gt @since and LookedAt le @until and ({condition})",
            parameters={"since": since, "until": until},
        )
        return sorted(_readable(rows), key=lambda run: run.updated_at)

    def page(self, *, state: RunState | None, project: str | None, size: int, token: str | None) -> Page:
        """Return a page of runs, newest first. Raises: InvalidRequestError: the token is not one of ours."""
        conditions, parameters = [_RUNS], {}
        for column, value in (("State", state), ("Project", project)):
            if value is not None:
                conditions.append(f"{column} eq @{column.lower()}")
                parameters[column.lower()] = str(value)
        pages = self.table.query_entities(
            " and ".join(conditions), parameters=parameters, results_per_page=size
        ).by_page(continuation_token=_token_in(token))
        rows = list(next(pages, []))
        return Page(_readable(rows), _token_out(pages.continuation_token))

    def entity(self, run_id: str) -> Any:
        """Return a run's row. Raises: RunNotFoundError."""
        from azure.core.exceptions import ResourceNotFoundError

        if not is_run_id(run_id):
            raise RunNotFoundError(run_id)
        try:
            return self.table.get_entity(PARTITION, row_key(run_id))
        except ResourceNotFoundError as missing:
            raise RunNotFoundError(run_id) from missing

    def replace(self, run: Run, etag: str, owner: str, lease_until: datetime) -> str | None:
        """Write a row under its ETag; return the new ETag, or None when the row has changed."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError
        from azure.data.tables import UpdateMode

        try:
            answer = self.table.update_entity(
                entity_of(run, owner, lease_until),
                mode=UpdateMode.REPLACE,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
            )
        except HttpResponseError as conflict:
            if conflict.status_code in (409, 412):
                return None
            raise
        return str(answer["etag"])

    @property
    def table(self) -> TableClient:
        """The table's client, made at first use."""
        if self._table is None:
            self._table = _table(self._address)
        return self._table


def _readable(rows: Iterable[Any]) -> list[Run]:
    """Read rows for a listing; one that cannot be read is said and left out, and hides no other."""
    runs = []
    for row in rows:
        try:
            runs.append(run_of(row))
        except msgspec.ValidationError:
            _log.exception("run %s: its row cannot be read", row.get("RunId"))
    return runs


def _token_out(token: Any) -> str | None:
    return base64.urlsafe_b64encode(json.dumps(token).encode()).decode() if token else None


def _token_in(token: str | None) -> Any:
    if token is None:
        return None
    try:
        value = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        value = None
    is_token = isinstance(value, dict) and set(value) == {"PartitionKey", "RowKey"}
    if not is_token or not all(isinstance(part, str | None) for part in value.values()):
        raise InvalidRequestError("next: not a token of this listing; leave it out to start at the newest run")
    return value


def _table(address: StorageAddress) -> TableClient:
    from azure.data.tables import TableServiceClient

    if address.connection_string:
        service = TableServiceClient.from_connection_string(address.connection_string, **PATIENCE)
    else:
        service = TableServiceClient(str(address.table_url), credential=credential(), **PATIENCE)
    return service.get_table_client(TABLE)
