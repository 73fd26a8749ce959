"""What a sweep found and did: its own record, and the summary that a listing shows."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec


class Did(StrEnum):
    """What a sweep did about one endpoint, or one deployment. `would_…` in a dry run."""

    KEPT = "kept"
    WARNED = "warned"
    WAITING = "waiting"
    """Warned before; its time has not come."""
    CALLED_OFF = "called_off"
    REMOVED = "removed"
    EMPTIED = "emptied"
    """The deployment was deleted; the endpoint stays with its address and its keys."""
    SCALED_DOWN = "scaled_down"
    WOULD_WARN = "would_warn"
    WOULD_CALL_OFF = "would_call_off"
    WOULD_REMOVE = "would_remove"
    WOULD_EMPTY = "would_empty"
    WOULD_SCALE_DOWN = "would_scale_down"
    ERROR = "error"


ACTED = frozenset({Did.REMOVED, Did.EMPTIED, Did.SCALED_DOWN})
WOULD = {
    Did.WARNED: Did.WOULD_WARN,
    Did.CALLED_OFF: Did.WOULD_CALL_OFF,
    Did.REMOVED: Did.WOULD_REMOVE,
    Did.EMPTIED: Did.WOULD_EMPTY,
    Did.SCALED_DOWN: Did.WOULD_SCALE_DOWN,
}


class EndpointReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep found of one endpoint, or of one deployment of it, and what it did.

    code: why, for programs. requests: of others within the time that counts; own_requests: the app's own, which do not
    count; None: not known. usd_per_hour: list price of all its instances; None: not known. act_after: when it goes.
    """

    name: str
    deployment: str | None = None
    run: str | None = None
    project: str | None = None
    state: str = ""
    action: Did
    code: str
    reason: str
    requests: float | None = None
    own_requests: float | None = None
    usd_per_hour: float | None = None
    act_after: datetime | None = None


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """Something else that costs and that nobody needs: what it is, what was done, why."""

    what: str
    name: str
    action: str
    reason: str
    usd_per_hour: float | None = None


class SweepSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One sweep in one line. usd_per_hour: of all that was looked at; idle_usd_per_hour: of what is idle; saved_usd:
    by all removals until then, see `shared.sweeps.money`. None: not known, and unpriced names the VM sizes."""

    id: str
    started_at: datetime
    finished_at: datetime | None = None
    trigger: str
    dry_run: bool
    complete: bool = False
    looked_at: int = 0
    idle: int = 0
    warned: int = 0
    acted: int = 0
    errors: int = 0
    usd_per_hour: float | None = None
    idle_usd_per_hour: float | None = None
    saved_usd: float | None = None
    unpriced: list[str] = []


class SweepReport(SweepSummary, frozen=True, kw_only=True):
    """One sweep with all it found. not_reached: the next sweep begins with these."""

    endpoints: list[EndpointReport] = []
    leftovers: list[Leftover] = []
    not_reached: list[str] = []
