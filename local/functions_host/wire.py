"""One HTTP call in, one answer out: what the gateway speaks instead of sockets."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """`headers` and `query` keep duplicates and order; `path` is not decoded."""

    method: str
    url: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    def parameter(self, name: str) -> str | None:
        return next((value for key, value in self.query if key.lower() == name.lower()), None)


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = field(default=())


def text(status: int, message: str) -> Answer:
    return Answer(status, message.encode(), (("content-type", "text/plain; charset=utf-8"),))


def as_json(status: int, document: Any) -> Answer:
    return Answer(status, json.dumps(document).encode(), (("content-type", "application/json; charset=utf-8"),))
