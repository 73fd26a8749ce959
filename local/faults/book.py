"""The faults of one state directory: STATE/faults.json, read again when it changed, and how often each was made.

Several processes read one file. The counts are in STATE/faults.db, where a use is one transaction, so that `times` is
exact whoever counts. A rule with an `id` is known by it, over every change of the file; one without is new with every
writing of the file, and so is its count.
"""

import hashlib
import json
import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from local.clock import clock_of
from local.faults import rules
from local.faults.rules import Limits, RuleError

_LOG = logging.getLogger(__name__)
_READS, _PAUSE_S = 5, 0.05
_SCHEMA = """
CREATE TABLE IF NOT EXISTS uses (rule TEXT PRIMARY KEY, seen INTEGER NOT NULL, used INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS claims (rule TEXT, who TEXT, granted INTEGER NOT NULL, PRIMARY KEY (rule, who));
CREATE TABLE IF NOT EXISTS kills (pid INTEGER PRIMARY KEY);
"""
Rule = TypeVar("Rule", bound=Limits)


@dataclass(frozen=True)
class Entry:
    """One rule of the file. `key` is what it is counted by, `since` when it began (seconds since 1970)."""

    kind: str
    key: str
    since: float
    rule: Limits

    def holds(self, now: float) -> bool:
        """Tell whether its time is not over."""
        return self.rule.seconds is None or now < self.since + self.rule.seconds


class Book:
    """The faults of one state directory. Safe to share between threads."""

    def __init__(self, state_dir: Path, now: Callable[[], float] | None = None) -> None:
        self.file, self._database = state_dir / "faults.json", state_dir / "faults.db"
        self.clock = clock_of(state_dir)
        self._now = now or self.clock.time
        self._lock = threading.Lock()
        self._has_tables = False
        self._stamp: tuple[int, int, int] | None = None
        self._entries: tuple[Entry, ...] = ()

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return the rules that hold now, of one kind or of all."""
        now = self._now()
        return [entry for entry in self._read() if kind in (None, entry.kind) and entry.holds(now)]

    def find(
        self, kind: type[Rule], concerns: Callable[[Rule], bool] = lambda _: True, who: str | None = None
    ) -> Rule | None:
        """Return the first rule of a kind that concerns something and has a use left, and count that use.

        Args: who: what the rule is used on. One thing uses a rule once, however often it asks, and gets one answer.
        """
        name = next(name for name, found in rules.KINDS.items() if found is kind)
        for entry in self.entries(name):
            rule = entry.rule
            if isinstance(rule, kind) and concerns(rule) and self.take(entry, who):
                return rule
        return None

    def take(self, entry: Entry, who: str | None = None) -> bool:
        """Count one use of a rule, if it has one left and chance wants it."""
        with self._transaction() as database:
            if who is not None:
                row = database.execute("SELECT granted FROM claims WHERE rule=? AND who=?", (entry.key, who)).fetchone()
                if row is not None:
                    return bool(row[0])
            granted = _count(database, entry)
            if who is not None:
                database.execute("INSERT INTO claims VALUES (?, ?, ?)", (entry.key, who, granted))
            return granted

    def used(self) -> dict[str, int]:
        """Return how often each rule was used, by its key."""
        with self._transaction() as database:
            return dict(database.execute("SELECT rule, used FROM uses"))

    def forget(self) -> None:
        """Forget every count."""
        with self._transaction() as database:
            database.execute("DELETE FROM uses")
            database.execute("DELETE FROM claims")

    def note_kill(self, pid: int) -> None:
        """Note that a process is ended on request: its end is no fault of its own."""
        with self._transaction() as database:
            database.execute("INSERT OR IGNORE INTO kills VALUES (?)", (pid,))

    def was_killed(self, pid: int) -> bool:
        """Tell, once, whether a process was ended on request."""
        if not self._database.exists():
            return False
        with self._transaction() as database:
            return database.execute("DELETE FROM kills WHERE pid = ?", (pid,)).rowcount == 1

    def _read(self) -> tuple[Entry, ...]:
        with self._lock:
            stamp = _stamp(self.file)
            if stamp != self._stamp or stamp is None:
                self._stamp, document = _whole(self.file)
                self._entries, problems = entries_of(document, self._stamp, self.clock.at)
                for problem in problems:
                    _LOG.warning("%s: %s; this rule is not used", self.file, problem)
            return self._entries

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # Opened for each use: nothing to close at the end of a process, and faults are rare.
        is_known = self._has_tables and self._database.exists()
        with closing(sqlite3.connect(self._database, timeout=30, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous=OFF")
            if not is_known:
                database.executescript(_SCHEMA)
                self._has_tables = True
            database.execute("BEGIN IMMEDIATE")
            yield database
            database.execute("COMMIT")


@cache
def book_of(state_dir: Path) -> Book:
    """Return the one book that this process has of a state directory."""
    return Book(state_dir)


def entries_of(
    document: dict[str, Any], stamp: tuple[int, int, int] | None, at: Callable[[float], float]
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Return the rules of a document, and what is wrong with those that cannot be used.

    Args: at: what the clock showed when the machine's showed a moment, such as a file's date.
    """
    written, _, inode = stamp or (0, 0, 0)
    found: list[Entry] = []
    problems: list[str] = []
    for kind, asked in document.items():
        for number, one in enumerate(asked if isinstance(asked, list) else [asked]):
            if one is None or one is False:
                continue
            try:
                rule = rules.parse(kind, one)
            except RuleError as fault:
                problems.append(str(fault))
                continue
            key = rule.id or f"{kind}-{written:x}-{inode:x}-{number}"
            since = rule.added if rule.added is not None else at(written / 1e9)
            found.append(Entry(kind, key, since, rule))
    return tuple(found), tuple(problems)


def _count(database: sqlite3.Connection, entry: Entry) -> bool:
    row = database.execute("SELECT seen, used FROM uses WHERE rule = ?", (entry.key,)).fetchone()
    seen, used = row or (0, 0)
    is_left = entry.rule.times is None or used < entry.rule.times
    granted = is_left and _is_chosen(entry.rule, seen)
    database.execute("REPLACE INTO uses VALUES (?, ?, ?)", (entry.key, seen + 1, used + granted))
    return granted


def _is_chosen(rule: Limits, number: int) -> bool:
    """Throw the dice; with a seed the outcome depends on it and on the number of the throw alone."""
    if rule.probability is None:
        return True
    if rule.seed is None:
        return random.random() < rule.probability
    digest = hashlib.sha256(f"{rule.seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48 < rule.probability


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - this is asked at every request
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _whole(file: Path) -> tuple[tuple[int, int, int] | None, dict[str, Any]]:
    """Read the file as it was at one moment: somebody may be writing it just now."""
    for _ in range(_READS):
        before = _stamp(file)
        if before is None:
            return None, {}
        try:
            document = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            document = None
        if isinstance(document, dict) and _stamp(file) == before:
            return before, document
        time.sleep(_PAUSE_S)
    _LOG.warning("%s is not a JSON object: no fault is made", file)
    return _stamp(file), {}
