"""Whether an endpoint, or one deployment of it, is to be left, warned of, or acted on. Pure; the time comes in.

What is not known is never idle. Nothing is done without a warning that has stood for `warn_for`, and for as long as it
promised. A date that somebody chose (`expires_at`) needs no idleness, but the same warning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.idle.findings import MINUTE, Code, Facts, Finding, Use, Warned, expiry, look
from shared.idle.policy import Action, Policy
from shared.idle.words import shown, spelt

__all__ = ["MINUTE", "Code", "Decision", "Do", "Facts", "Use", "Warned", "decide"]

_WILL = {
    Action.DELETE_ENDPOINT: "the endpoint is deleted",
    Action.DELETE_DEPLOYMENT: "the deployment is deleted",
    Action.SCALE_DOWN: "it is scaled down to one instance",
    Action.REPORT: "it is reported",
}


class Do(StrEnum):
    """What the sweep is to do."""

    KEEP = "keep"
    WARN = "warn"
    """Write a warning, over an older one if there is one: it holds until the decision's `act_after`."""
    WAIT = "wait"
    """It was warned of; leave the warning as it is."""
    ACT = "act"
    CALL_OFF = "call_off"
    """It was warned of, but there is no reason any more: take the warning away."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What to do, and why. code: for programs. reason: for people. act_after: not before that; None: nothing is due."""

    do: Do
    code: Code
    reason: str
    act_after: datetime | None = None


def decide(policy: Policy, facts: Facts, now: datetime) -> Decision:
    """Decide what becomes of one endpoint, or of one deployment.

    What protects it altogether comes first (tags nobody can read, `keep`), then the date on which it expires, then
    `keep_until`, then whether it is idle. Who is idle and about to expire goes for the reason that comes sooner; what
    holds back an idle one (business hours, figures that lag) holds no longer than to its date.
    Asked again with the warning that the last answer gave, it does not warn a second time: a warning is made anew only
    where the action is another one now.
    """
    found = look(policy, facts, now)
    idle = _decided(policy, facts, now, found)
    if found.is_final or (expired := expiry(policy, now)) is None:
        return idle
    by_date = _decided(policy, facts, now, expired)
    is_sooner = (
        found.code == Code.IDLE
        and (idle.do == Do.ACT or by_date.do != Do.ACT)
        and idle.act_after is not None
        and by_date.act_after is not None
        and idle.act_after < by_date.act_after
    )
    return idle if is_sooner else by_date


def _decided(policy: Policy, facts: Facts, now: datetime, found: Finding) -> Decision:
    if found.is_reason_to_go:
        return _go(policy, facts, now, found)
    if facts.warned is None:
        return Decision(do=Do.KEEP, code=found.code, reason=found.reason)
    if found.is_doubt:
        reason = f"{found.reason}; it was warned of, and nothing is done before that is known"
        return Decision(do=Do.WAIT, code=found.code, reason=reason, act_after=facts.warned.act_after)
    return Decision(do=Do.CALL_OFF, code=found.code, reason=f"{found.reason}; the warning is withdrawn")


def _go(policy: Policy, facts: Facts, now: datetime, found: Finding) -> Decision:
    """Decide about one that has a reason to go: whether it may, was warned of, and its time has come."""
    if (but := _nothing_to_do(policy, facts, found)) is not None:
        return _decided(policy, facts, now, but)
    if (blackout := policy.blackouts.holds(now)) is not None:
        return _held(facts, Code.BLACKOUT, f"{found.reason}; {blackout}")
    warned = _valid(policy, facts.warned)
    due = _due(policy, warned, found, now)
    if warned is None and policy.warn_for:
        return _warn(policy, facts, found, due)
    if now < due:
        reason = f"{found.reason}; warned, {_WILL[policy.action]} after {shown(due)}"
        return Decision(do=Do.WAIT, code=found.code, reason=reason, act_after=due)
    if found.code == Code.IDLE and (found_now := _not_now(policy, facts, warned, due, now)) is not None:
        code, text = found_now
        return replace(_held(facts, code, f"{found.reason}; {text}"), act_after=due if facts.warned else None)
    return Decision(do=Do.ACT, code=found.code, reason=found.reason, act_after=due)


def _nothing_to_do(policy: Policy, facts: Facts, found: Finding) -> Finding | None:
    """Say why the action changes nothing here."""
    if policy.action == Action.REPORT:
        return Finding(Code.REPORT_ONLY, f"{found.reason}; only reported, as its idle_action says")
    if policy.action != Action.SCALE_DOWN:
        return None
    if facts.instances is None:
        return Finding(Code.UNKNOWN, f"{found.reason}, but how many instances it has is unknown", is_doubt=True)
    if facts.instances <= 1:
        return Finding(Code.AT_MINIMUM, f"{found.reason}; it has one instance, and scaling down goes no further")
    return None


def _valid(policy: Policy, warned: Warned | None) -> Warned | None:
    """Return the warning if it speaks of what would be done now."""
    return warned if warned is not None and warned.action == policy.action else None


def _due(policy: Policy, warned: Warned | None, found: Finding, now: datetime) -> datetime:
    """Return when it goes: never before its date, before what was promised, or within `warn_for` of the warning."""
    first = warned.at if warned is not None else now
    times = [first + policy.warn_for, found.date, warned.act_after if warned is not None else None]
    return max(time for time in times if time is not None)


def _warn(policy: Policy, facts: Facts, found: Finding, due: datetime) -> Decision:
    before = f" (the warning until now was of {facts.warned.action})" if facts.warned is not None else ""
    reason = f"{found.reason}; {_WILL[policy.action]} after {shown(due)}{before}"
    return Decision(do=Do.WARN, code=found.code, reason=reason, act_after=due)


def _not_now(
    policy: Policy, facts: Facts, warned: Warned | None, due: datetime, now: datetime
) -> tuple[Code, str] | None:
    """Say why an idle one whose time has come stays all the same."""
    if (hours := policy.hours.holds(now)) is not None:
        return Code.BUSINESS_HOURS, hours
    known_until = facts.use.known_until if facts.use is not None else None
    if warned is not None and known_until is not None and known_until < due:
        # A request calls a warning off, also one of its last minute, which Azure Monitor shows some minutes later.
        behind = spelt(due - known_until)
        return Code.LATE, f"warned until {shown(due)}, but Azure Monitor has not yet counted the last {behind} of it"
    return None


def _held(facts: Facts, code: Code, reason: str) -> Decision:
    if facts.warned is None:
        return Decision(do=Do.KEEP, code=code, reason=reason)
    return Decision(do=Do.WAIT, code=code, reason=reason, act_after=facts.warned.act_after)


def longest_look_back(policy: Policy, warned: Warned | None, now: datetime) -> timedelta:
    """Return how far back the traffic must be read for a decision."""
    since_warning = now - warned.at if warned is not None else timedelta()
    return max(policy.idle_after, since_warning) + MINUTE
