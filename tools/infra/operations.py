"""What is asked of Azure, by whom and why: operations.json, which roles in infra/ are held against."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FILE = Path(__file__).with_name("operations.json")


@dataclass(frozen=True)
class Operation:
    """One operation of Azure's role-based access control.

    who: the identity that asks. app: the functions and their host; job: what runs on a cluster; workspace, eventgrid:
    the services' own identities; run: a job with the token of its own run, which needs no role.
    data: an operation on data (dataActions), not on resources (actions).
    seen: the emulator sees it during the tests. Otherwise it is written down by hand, and `why` says whence.
    """

    name: str
    who: str
    why: str
    data: bool = False
    seen: bool = False

    @property
    def kind(self) -> str:
        """What it is done to: the name without its last verb."""
        return self.name.removesuffix("/action").rpartition("/")[0]


@lru_cache(maxsize=1)
def operations() -> tuple[Operation, ...]:
    """Return all operations."""
    listed = json.loads(FILE.read_text("utf-8"))
    return tuple(Operation(**one) for one in listed["operations"])


def known_operations() -> set[str]:
    """Return the operations as the emulator's recorder writes them: `app Microsoft.../read`."""
    return {f"{one.who} {one.name}" for one in operations()}
