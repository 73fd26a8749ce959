"""The turns that were given and perhaps not used yet: one small row, written only under its ETag.

What is under way is not kept here but seen in the runs' own rows; so nothing has to be given back, and a process that
dies leaves no place taken. The row only bridges the moment between a turn's being given and its showing in the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared import typed
from shared.runs.rows import PARTITION, from_chunks, in_chunks, write_unchanged
from shared.runs.states import RunState
from shared.runs.store import RunStore
from shared.runs.turns import InLine

SERVED_LIMIT = 500
"""So many projects' last turns are remembered."""


class Page(msgspec.Struct, kw_only=True):
    """What the row holds. grants: by run, its ticket, or its endpoint. served: projects, the latest turn last."""

    grants: dict[str, str] = {}
    served: list[str] = []


@dataclass
class Ledger:
    """One ledger: `runs` or `endpoints`. Read it before the runs' rows, else a turn in between is counted nowhere."""

    store: RunStore
    name: str

    def read(self) -> tuple[Page, str | None]:
        """Return what is written, and its ETag; None: nothing was written yet."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            row = self.store.table.get_entity(PARTITION, self._key)
        except ResourceNotFoundError:
            return Page(), None
        return typed.decode(from_chunks(row), Page), str(row.metadata["etag"])

    def write(self, page: Page, etag: str | None) -> bool:
        """Write it if it is still what was read; False when another worker was faster."""
        row = {"PartitionKey": PARTITION, "RowKey": self._key, **in_chunks(msgspec.json.encode(page).decode())}
        return write_unchanged(self.store.table, row, etag) is not None

    @property
    def _key(self) -> str:
        return f"ledger_{self.name}"  # sorts after the runs, see `store._RUNS`


def line(store: RunStore) -> list[InLine]:
    """Return the runs that wait for their turn, oldest first."""
    rows = store.select("InLine eq true", ["RunId", "Project", "Ticket"])
    return [InLine(row["RunId"], row["Project"], row["Ticket"]) for row in rows]


def under_way(store: RunStore) -> dict[str, str]:
    """Return the runs that are under way, and their projects."""
    return {row["RunId"]: row["Project"] for row in store.select("UnderWay eq true", ["RunId", "Project"])}


def near_endpoints(store: RunStore) -> list[Mapping[str, Any]]:
    """Return RunId, State and Endpoint of the runs that have an endpoint or are next to have one, oldest first."""
    states = (RunState.REGISTERED, RunState.DEPLOYING, RunState.VERIFYING, RunState.LIVE)
    condition = " or ".join(f"State eq '{state.value}'" for state in states)
    return store.select(condition, ["RunId", "State", "Endpoint"])
