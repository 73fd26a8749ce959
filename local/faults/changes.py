"""Change STATE/faults.json: add rules to it, take them away. Rules keep their counts when others come and go."""

import fcntl
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from local.clock import clock_of
from local.faults import rules
from local.faults.book import Book, entries_of
from local.faults.rules import RuleError
from local.files import write_atomically


def listing(state_dir: Path) -> list[dict[str, Any]]:
    """Return what is asked for, with how often it was made and how long it still holds."""
    book = Book(state_dir)
    used = book.used() if book.entries() else {}
    now = book.clock.time()
    found = []
    for entry in book.entries():
        rule = msgspec.to_builtins(entry.rule)
        seconds = entry.rule.seconds
        left = None if seconds is None else round(entry.since + seconds - now, 1)
        shown = {key: value for key, value in rule.items() if key not in ("id", "added")}
        found.append(
            {"id": entry.key, "kind": entry.kind, "rule": shown, "used": used.get(entry.key, 0), "seconds_left": left}
        )
    return found


def add(state_dir: Path, asked: Mapping[str, Any]) -> list[str]:
    """Add rules, by kind, to those there are; return their ids. All of them or none.

    Raises: RuleError: one of them cannot be.
    """
    now = clock_of(state_dir).time()
    added: list[tuple[str, dict[str, Any]]] = []
    for kind, wanted in asked.items():
        for one in wanted if isinstance(wanted, list) else [wanted]:
            rule = msgspec.to_builtins(rules.parse(kind, one))
            added.append((kind, {**rule, "id": rule.get("id") or uuid.uuid4().hex[:8], "added": now}))
    with _changing(state_dir) as document:
        for kind, rule in added:
            document.setdefault(kind, []).append(rule)
    return [rule["id"] for _, rule in added]


def remove(state_dir: Path, rule_id: str) -> bool:
    """Take one rule away; answer whether there was one."""
    with _changing(state_dir) as document:
        count = sum(map(len, document.values()))
        for kind in document:
            document[kind] = [rule for rule in document[kind] if rule["id"] != rule_id]
        return sum(map(len, document.values())) < count


def clear(state_dir: Path) -> None:
    """Take every rule away, and forget what was counted."""
    with _locked(state_dir):
        if (state_dir / "faults.json").exists():
            write_atomically(state_dir / "faults.json", "{}")
        Book(state_dir).forget()


@contextmanager
def _changing(state_dir: Path) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Give the document's rules as lists by kind, each with the id it is counted by; write what becomes of them."""
    with _locked(state_dir):
        book = Book(state_dir)
        document: dict[str, list[dict[str, Any]]] = {}
        for entry in book.entries():
            rule = {**msgspec.to_builtins(entry.rule), "id": entry.key, "added": entry.since}
            document.setdefault(entry.kind, []).append(rule)
        yield document
        kept = {kind: found for kind, found in document.items() if found}
        _, problems = entries_of(kept, None, book.clock.at)
        if problems:
            raise RuleError("; ".join(problems))
        write_atomically(book.file, json.dumps(kept, indent=2))


@contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "faults.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
