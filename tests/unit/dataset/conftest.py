"""A dataset prepared in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from shared.dataset import DatasetRejectedError, PrepareOptions, Report, prepare

settings.register_profile(
    "dataset", derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("dataset")


@dataclass
class Sink:
    """Keeps what is written to it."""

    data: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes | bytearray) -> None:
        self.data += data

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]


@dataclass
class Prepared:
    report: Report
    train: list[dict[str, Any]]
    test: list[dict[str, Any]]
    test_bytes: bytes

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.train + self.test

    @property
    def reasons(self) -> dict[str, int]:
        return {reason: tally.count for reason, tally in self.report.rejected_by_reason.items()}

    @property
    def notes(self) -> dict[str, int]:
        return {note: tally.count for note, tally in self.report.notes.items()}


PrepareBytes = Callable[..., Prepared]


@pytest.fixture(scope="session")
def prepared() -> PrepareBytes:
    """Prepare bytes (or blocks of bytes); a rejected dataset gives its report and no rows."""

    def run(source: bytes | Iterable[bytes], name: str = "chat.jsonl", **options: Any) -> Prepared:
        train, test = Sink(), Sink()
        blocks = [source] if isinstance(source, bytes) else source
        try:
            report = prepare(blocks, train=train, test=test, options=PrepareOptions(**options), name=name)
        except DatasetRejectedError as error:
            return Prepared(error.report, [], [], b"")
        return Prepared(report, train.rows, test.rows, bytes(test.data))

    return run


@pytest.fixture
def new_sink() -> Callable[[], Sink]:
    """Make writers that keep what is written to them."""
    return Sink


@pytest.fixture(scope="session")
def chat() -> Callable[..., dict[str, Any]]:
    """A row in OpenAI's layout: chat("q", "a", "q2", "a2", system="...")."""

    def make(*texts: str, system: str | None = None, **fields: Any) -> dict[str, Any]:
        roles = ("user", "assistant")
        messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system is not None else []
        messages += [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
        return {"messages": messages, **fields}

    return make


@pytest.fixture(scope="session")
def jsonl() -> Callable[[Iterable[Any]], bytes]:
    """JSON Lines as json.dumps writes them."""

    def dump(rows: Iterable[Any]) -> bytes:
        return b"".join(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n" for row in rows)

    return dump
