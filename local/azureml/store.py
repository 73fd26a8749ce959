"""The emulator's memory: JSON documents in one SQLite file, so that a restart loses nothing."""

import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID
"""
_AFTER_EVERY_KEY = "\U0010ffff"


class Store:
    """Documents by kind and key. Safe to share between threads; a document is always whole.

    One connection behind one lock: every operation is a few microseconds, and a single writer never sees
    "database is locked". With WAL and synchronous=NORMAL a killed process loses nothing that was committed.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._changes: Counter[str] = Counter()
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(_SCHEMA)

    def get(self, kind: str, key: str) -> Document | None:
        with self._lock:
            return self._read(kind, key)

    def put(self, kind: str, key: str, doc: Document) -> None:
        with self._lock:
            self._write(kind, key, doc)

    def insert(self, kind: str, key: str, doc: Document) -> bool:
        """Add a document; answer False, and change nothing, when the key is taken."""
        with self._lock:
            added = self._connection.execute(
                "INSERT OR IGNORE INTO documents (kind, key, body) VALUES (?, ?, ?)", (kind, key, json.dumps(doc))
            )
            self._changes[kind] += added.rowcount
            return added.rowcount == 1

    def update(self, kind: str, key: str, fn: Callable[[Document], Document]) -> Document | None:
        """Replace a document by `fn(document)` in one transaction; answer the new one, or None when there is none.

        `fn` must not use the store; when it raises, nothing is changed.
        """
        with self._lock, self._transaction():
            doc = self._read(kind, key)
            if doc is None:
                return None
            changed = fn(doc)
            self._write(kind, key, changed)
            return changed

    def delete(self, kind: str, key: str) -> bool:
        with self._lock:
            gone = self._connection.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key))
            self._changes[kind] += gone.rowcount
            return gone.rowcount == 1

    def list(self, kind: str, prefix: str = "") -> "list[tuple[str, Document]]":
        """Answer (key, document) of every key that starts with `prefix`, in the order of the keys."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT key, body FROM documents WHERE kind = ? AND key >= ? AND key < ? ORDER BY key",
                (kind, prefix, prefix + _AFTER_EVERY_KEY),
            ).fetchall()
        return [(key, json.loads(body)) for key, body in rows]

    def changes(self, kind: str) -> int:
        """Answer a number that grows with every change to the kind since the start: to look whether to look again."""
        with self._lock:
            return self._changes[kind]

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _read(self, kind: str, key: str) -> Document | None:
        row = self._connection.execute("SELECT body FROM documents WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return None if row is None else json.loads(row[0])

    def _write(self, kind: str, key: str, doc: Document) -> None:
        self._changes[kind] += 1
        self._connection.execute(
            "INSERT OR REPLACE INTO documents (kind, key, body) VALUES (?, ?, ?)", (kind, key, json.dumps(doc))
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
