"""What must outlive the process, in one SQLite file: pending deliveries and the blobs already seen."""

import json
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.eventgrid.events import Event

MAX_PENDING = 10_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, subscription TEXT NOT NULL, event TEXT NOT NULL, published REAL NOT NULL,
    due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, last_attempt REAL, last_outcome TEXT, last_status INTEGER,
    dead_reason TEXT);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (subscription, due);
CREATE TABLE IF NOT EXISTS seen (container TEXT, blob TEXT, etag TEXT, PRIMARY KEY (container, blob));
"""


class FullError(RuntimeError):
    """A subscription has as many undelivered events as are kept."""


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one subscriber. `dead_reason`: it only waits to be written as a dead letter."""

    id: int
    event: Event
    published: datetime
    attempts: int = 0
    last_attempt: datetime | None = None
    last_outcome: str | None = None
    last_status: int | None = None
    dead_reason: str | None = None


class Store:
    """Thread-safe; every method is one transaction."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def add(self, deliveries: Iterable[tuple[str, Event, float]], now: datetime) -> None:
        """Keep events for subscriptions, due after so many seconds. Raises: FullError: too many are pending."""
        with self._transaction() as connection:
            _add(connection, deliveries, now)

    def see(
        self,
        container: str,
        changes: Mapping[str, str | None],
        deliveries: Iterable[tuple[str, Event, float]],
        now: datetime,
    ) -> None:
        """Note blobs (name -> ETag, None for a deleted one) together with the events made of them: all or nothing."""
        with self._transaction() as connection:
            _add(connection, deliveries, now)
            for blob, etag in changes.items():
                if etag is None:
                    connection.execute("DELETE FROM seen WHERE container = ? AND blob = ?", (container, blob))
                else:
                    connection.execute("REPLACE INTO seen VALUES (?, ?, ?)", (container, blob, etag))

    def seen(self, container: str) -> dict[str, str]:
        with self._transaction() as connection:
            return dict(connection.execute("SELECT blob, etag FROM seen WHERE container = ?", (container,)))

    def due(self, subscription: str, now: datetime, limit: int, but: Collection[int] = ()) -> list[Delivery]:
        """Return what is to be sent now, the longest waiting first, without those in `but`."""
        query = (
            "SELECT id, event, published, attempts, last_attempt, last_outcome, last_status, dead_reason "
            "FROM deliveries WHERE subscription = ? AND due <= ? ORDER BY due, id LIMIT ?"
        )
        with self._transaction() as connection:
            rows = connection.execute(query, (subscription, now.timestamp(), limit + len(but))).fetchall()
        return [_delivery(row) for row in rows if row[0] not in but][:limit]

    def postpone(self, delivery: Delivery, until: datetime) -> None:
        """Write a delivery back as it is now, due later."""
        last = delivery.last_attempt.timestamp() if delivery.last_attempt else None
        with self._transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET due = ?, attempts = ?, last_attempt = ?, last_outcome = ?, last_status = ?, "
                "dead_reason = ? WHERE id = ?",
                (
                    until.timestamp(),
                    delivery.attempts,
                    last,
                    delivery.last_outcome,
                    delivery.last_status,
                    delivery.dead_reason,
                    delivery.id,
                ),
            )

    def remove(self, delivery: Delivery) -> None:
        with self._transaction() as connection:
            connection.execute("DELETE FROM deliveries WHERE id = ?", (delivery.id,))

    def pending(self) -> dict[str, int]:
        """Return the number of undelivered events by subscription."""
        with self._transaction() as connection:
            return dict(connection.execute("SELECT subscription, COUNT(*) FROM deliveries GROUP BY subscription"))


def _add(connection: sqlite3.Connection, deliveries: Iterable[tuple[str, Event, float]], now: datetime) -> None:
    moment = now.timestamp()
    pending = dict(connection.execute("SELECT subscription, COUNT(*) FROM deliveries GROUP BY subscription"))
    for subscription, event, late_s in deliveries:
        pending[subscription] = pending.get(subscription, 0) + 1
        if pending[subscription] > MAX_PENDING:
            raise FullError(f"{subscription} has {MAX_PENDING} undelivered events; no more are accepted")
        connection.execute(
            "INSERT INTO deliveries (subscription, event, published, due) VALUES (?, ?, ?, ?)",
            (subscription, json.dumps(event), moment, moment + late_s),
        )


def _delivery(row: tuple[int, str, float, int, float | None, str | None, int | None, str | None]) -> Delivery:
    number, event, published, attempts, last_attempt, outcome, status, dead_reason = row
    last = datetime.fromtimestamp(last_attempt, UTC) if last_attempt else None
    moment = datetime.fromtimestamp(published, UTC)
    return Delivery(number, json.loads(event), moment, attempts, last, outcome, status, dead_reason)
