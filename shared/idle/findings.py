"""What is known of an endpoint, or of one deployment, and what that says: in use, idle, expired, or not known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.idle.policy import Action, Policy
from shared.idle.words import shown, spelt

MINUTE = timedelta(minutes=1)
"""Azure Monitor counts by the minute and names a minute by its begin; what it shows may have been at its end."""
LATE = timedelta(minutes=15)
"""Figures further behind than this are not believed: Azure Monitor is usually three minutes behind."""


class Code(StrEnum):
    """Why, for programs."""

    UNREADABLE = "unreadable"
    KEPT = "kept"
    YOUNG = "young"
    CHANGED = "changed"
    IN_USE = "in_use"
    CONNECTED = "connected"
    UNKNOWN = "unknown"
    LATE = "late"
    AT_MINIMUM = "at_minimum"
    REPORT_ONLY = "report_only"
    BUSINESS_HOURS = "business_hours"
    BLACKOUT = "blackout"
    IDLE = "idle"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Warned:
    """A warning that was given. act_after: what it promised to wait for."""

    at: datetime
    act_after: datetime
    action: Action


@dataclass(frozen=True, kw_only=True)
class Use:
    """How an endpoint, or one deployment, was used.

    requests: of others than this app, within `idle_after`. last_request_at: the newest minute with one, as far back as
    was read. connected_at: the newest minute in which a client was connected. known_until: up to when these figures are
    surely complete; None: not known.
    """

    requests: float
    last_request_at: datetime | None
    connected_at: datetime | None
    known_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a decision rests on.

    born_at: when it began to answer; None: not known. changed_at: the last change of a deployment or of the traffic
    rules. use: None: not known, and use_fault says why. instances: needed to scale down.
    """

    born_at: datetime | None
    changed_at: datetime | None = None
    use: Use | None
    use_fault: str = ""
    warned: Warned | None = None
    instances: int | None = None


@dataclass(frozen=True)
class Finding:
    """What the facts say. is_doubt: not known, so it neither goes nor is a warning withdrawn. is_final: a date on which
    it expires changes nothing. date: it goes then, not before."""

    code: Code
    reason: str
    is_doubt: bool = False
    is_final: bool = False
    date: datetime | None = None

    @property
    def is_reason_to_go(self) -> bool:
        """Whether it should go, if nothing else is in the way."""
        return self.code in (Code.IDLE, Code.EXPIRED)


def look(policy: Policy, facts: Facts, now: datetime) -> Finding:
    """Say what it is, apart from a date on which it expires; the first that is true."""
    finding = _protected(policy, now) or _fresh(policy, facts, now) or _used(policy, facts, now)
    return finding or Finding(Code.IDLE, f"no request in the last {spelt(policy.idle_after)}")


def expiry(policy: Policy, now: datetime) -> Finding | None:
    """Say that it expires, from `warn_for` before its date on."""
    date = policy.expires_at
    if date is None or now < date - policy.warn_for:
        return None
    return Finding(Code.EXPIRED, f"{'expired' if now >= date else 'expires'} on {shown(date)}", date=date)


def _protected(policy: Policy, now: datetime) -> Finding | None:
    if policy.unreadable:
        return Finding(Code.UNREADABLE, f"kept, because {'; '.join(policy.unreadable)}", is_final=True)
    if policy.keep:
        return Finding(Code.KEPT, "kept: keep is true", is_final=True)
    if policy.keep_until is not None and now < policy.keep_until:
        return Finding(Code.KEPT, f"kept until {shown(policy.keep_until)}")
    return None


def _fresh(policy: Policy, facts: Facts, now: datetime) -> Finding | None:
    if facts.born_at is None:
        return Finding(Code.UNKNOWN, "since when it answers is unknown", is_doubt=True)
    # Who has lived for less than idle_after cannot have been idle for so long.
    age, least = now - facts.born_at, max(policy.grace, policy.idle_after)
    if age < least:
        return Finding(Code.YOUNG, f"answers for {spelt(age)} only; looked at from {spelt(least)} on")
    if facts.changed_at is not None and now - facts.changed_at < policy.grace:
        ago = spelt(now - facts.changed_at)
        return Finding(Code.CHANGED, f"a deployment or its traffic was changed {ago} ago, within {spelt(policy.grace)}")
    return None


def _used(policy: Policy, facts: Facts, now: datetime) -> Finding | None:
    """Signs of use first: figures that are late prove use, but never idleness."""
    use = facts.use
    if use is None:
        why = f": {facts.use_fault}" if facts.use_fault else ""
        return Finding(Code.UNKNOWN, f"its traffic is unknown{why}", is_doubt=True)
    return _requested(policy, facts.warned, use, now) or _connected(use, now) or _uncertain(use, now)


def _requested(policy: Policy, warned: Warned | None, use: Use, now: datetime) -> Finding | None:
    newest = f", the newest at {shown(use.last_request_at)}" if use.last_request_at is not None else ""
    if use.requests > 0:
        requests = "1 request" if use.requests == 1 else f"{use.requests:g} requests"
        return Finding(Code.IN_USE, f"{requests} in the last {spelt(policy.idle_after)}{newest}")
    if use.last_request_at is None:
        return None
    end = use.last_request_at + MINUTE
    if end > now - policy.idle_after:
        return Finding(Code.IN_USE, f"a request at {shown(use.last_request_at)}")
    if warned is not None and end > warned.at:
        return Finding(Code.IN_USE, f"a request at {shown(use.last_request_at)}, after the warning")
    return None


def _connected(use: Use, now: datetime) -> Finding | None:
    # A connection without a request is a sign only while it is there: clients keep some, and so does our own chat.
    if use.connected_at is None or now - use.connected_at > LATE:
        return None
    return Finding(Code.CONNECTED, f"a client was connected at {shown(use.connected_at)}")


def _uncertain(use: Use, now: datetime) -> Finding | None:
    if use.known_until is None:
        return Finding(Code.UNKNOWN, "up to when Azure Monitor has counted is unknown", is_doubt=True)
    behind = now - use.known_until
    if behind > LATE:
        return Finding(Code.LATE, f"Azure Monitor is {spelt(behind)} behind, {spelt(LATE)} at most", is_doubt=True)
    return None
