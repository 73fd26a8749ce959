"""What holds for any endpoint, whatever is known of it, and for any policy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.idle.decision import Decision, Do, decide
from shared.idle.findings import LATE, Code, Facts, Use, Warned
from shared.idle.policy import Action, Policy
from shared.idle.windows import Blackouts, BusinessHours

NOW = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)
MINUTE, NONE = timedelta(minutes=1), timedelta()
# Few values, close together: what is interesting lies where two of them meet.
_SPANS = st.sampled_from([0, 1, 2, 5, 14, 15, 16, 30, 59, 60, 61, 120, 480, 1440]).map(lambda minutes: minutes * MINUTE)
_JITTER = st.sampled_from([NONE, timedelta(seconds=1), timedelta(seconds=30), timedelta(seconds=-1)])
_PAST = st.builds(lambda ago, jitter: NOW - ago + jitter, _SPANS, _JITTER)
_MOMENTS = _PAST | st.builds(lambda ahead, jitter: NOW + ahead + jitter, _SPANS, _JITTER)
_HOURS = st.sampled_from(["mon-fri 08:00-18:00 Europe/Berlin", "tue 20:00-13:01 Asia/Tokyo"])
_BLACKOUTS = st.sampled_from(["2026-11-24T12:00Z/2026-11-24T13:00Z", "2026-11-23T00:00Z/2026-11-24T12:00Z"])
_COMMON = settings(derandomize=True, deadline=None, max_examples=250)


def _maybe(found: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | found


def _seldom(found: st.SearchStrategy[Any], plain: Any) -> st.SearchStrategy[Any]:
    """Make most values plain ones: where much is in the way at once, nothing is ever acted on."""
    return st.integers(0, 5).flatmap(lambda number: found if number == 5 else st.just(plain))


_POLICIES = st.builds(
    Policy,
    idle_after=_SPANS.filter(bool),
    grace=_seldom(_SPANS, MINUTE),
    warn_for=_SPANS,
    action=_seldom(st.sampled_from(Action), Action.DELETE_ENDPOINT),
    keep=_seldom(st.just(True), False),
    keep_until=_seldom(_MOMENTS, None),
    expires_at=_seldom(_MOMENTS, None),
    hours=_seldom(_HOURS.map(BusinessHours.parse), BusinessHours()),
    blackouts=_seldom(_BLACKOUTS.map(Blackouts.parse), Blackouts()),
    unreadable=_seldom(st.just(("tag x is 'y'",)), ()),
)
_USES = st.builds(
    Use,
    requests=_seldom(st.sampled_from([1, 0.5]), 0),
    last_request_at=_maybe(_PAST),
    connected_at=_seldom(_PAST, None),
    known_until=_seldom(_maybe(_PAST), NOW - 2 * MINUTE),
)
_WARNINGS = st.builds(
    lambda at, promised, action: Warned(at=at, act_after=at + promised, action=action),
    _PAST,
    _SPANS,
    _seldom(st.sampled_from(Action), Action.DELETE_ENDPOINT),
)
_FACTS = st.builds(
    Facts,
    born_at=_seldom(_maybe(_PAST), NOW - timedelta(days=9)),
    changed_at=_seldom(_PAST, None),
    use=st.integers(0, 9).flatmap(lambda number: st.none() if number == 9 else _USES),
    use_fault=st.just("Azure Monitor is away"),
    warned=_maybe(_WARNINGS),
    instances=st.sampled_from([None, 0, 1, 2]),
)


def _expired(policy: Policy) -> bool:
    return policy.expires_at is not None and policy.expires_at <= NOW


def _acted_on(decision: Decision) -> bool:
    return decision.do == Do.ACT


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_unknown_is_never_acted_on_nor_warned_of(policy: Policy, facts: Facts) -> None:
    policy = replace(policy, expires_at=None)
    known_until = facts.use.known_until if facts.use is not None else None
    if facts.born_at is not None and known_until is not None and NOW - known_until <= LATE:
        facts = replace(facts, use=None)
    assert decide(policy, facts, NOW).do in (Do.KEEP, Do.WAIT, Do.CALL_OFF)


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_doubt_alone_never_withdraws_a_warning(policy: Policy, facts: Facts) -> None:
    found = decide(policy, facts, NOW)
    if found.code in (Code.UNKNOWN, Code.LATE):
        assert found.do == (Do.KEEP if facts.warned is None else Do.WAIT)


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_nothing_is_acted_on_before_a_warning_of_it_has_stood_for_its_time(policy: Policy, facts: Facts) -> None:
    if not _acted_on(decide(policy, facts, NOW)) or not policy.warn_for:
        return
    assert facts.warned is not None
    assert facts.warned.action == policy.action
    assert NOW - facts.warned.at >= policy.warn_for
    assert facts.warned.act_after <= NOW


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_what_was_used_within_idle_after_is_acted_on_only_on_its_date(policy: Policy, facts: Facts) -> None:
    use = facts.use
    used = use is not None and (
        use.requests > 0
        or (use.last_request_at is not None and use.last_request_at > NOW - policy.idle_after)
        or (use.connected_at is not None and use.connected_at > NOW - LATE)
    )
    if used and _acted_on(found := decide(policy, facts, NOW)):
        assert _expired(policy)
        assert found.code == Code.EXPIRED


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_a_request_since_the_warning_withdraws_it_unless_a_date_is_near(policy: Policy, facts: Facts) -> None:
    policy = replace(policy, expires_at=None)
    last = facts.use.last_request_at if facts.use is not None else None
    if facts.warned is not None and last is not None and last >= facts.warned.at and facts.born_at is not None:
        assert decide(policy, facts, NOW).do == Do.CALL_OFF


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_what_is_to_be_kept_is_kept(policy: Policy, facts: Facts) -> None:
    for kept in (replace(policy, keep=True), replace(policy, unreadable=("tag x is 'y'",))):
        found = decide(kept, facts, NOW)
        assert found.do == (Do.KEEP if facts.warned is None else Do.CALL_OFF)
        assert found.code in (Code.KEPT, Code.UNREADABLE)
    until = replace(policy, keep_until=NOW + MINUTE, expires_at=None)
    assert decide(until, facts, NOW).do in (Do.KEEP, Do.CALL_OFF)


@_COMMON
@given(policy=_POLICIES, facts=_FACTS, later=_SPANS)
def test_a_warning_is_given_once(policy: Policy, facts: Facts, later: timedelta) -> None:
    found = decide(policy, facts, NOW)
    if found.do != Do.WARN:
        return
    assert found.act_after is not None
    assert found.act_after >= NOW + policy.warn_for > NOW
    given_now = replace(facts, warned=Warned(at=NOW, act_after=found.act_after, action=policy.action))
    again = decide(policy, given_now, NOW)
    assert (again.do, again.act_after, again.code) == (Do.WAIT, found.act_after, found.code)
    assert decide(policy, given_now, NOW + later).do != Do.WARN


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_only_what_was_warned_of_waits_or_is_called_off(policy: Policy, facts: Facts) -> None:
    found = decide(policy, facts, NOW)
    if facts.warned is None:
        assert found.do in (Do.KEEP, Do.WARN, Do.ACT)
    else:
        assert found.do != Do.KEEP  # a warning is never left without a word


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_nothing_is_warned_of_or_acted_on_in_a_blackout(policy: Policy, facts: Facts) -> None:
    blackouts = Blackouts.parse("2026-11-24T12:00Z/2026-11-24T12:01Z")
    assert decide(replace(policy, blackouts=blackouts), facts, NOW).do not in (Do.WARN, Do.ACT)


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_nothing_idle_is_acted_on_in_business_hours(policy: Policy, facts: Facts) -> None:
    found = decide(replace(policy, hours=BusinessHours.parse("tue 13:00-13:01 Europe/Berlin")), facts, NOW)
    assert not _acted_on(found) or (found.code == Code.EXPIRED and _expired(policy))


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_what_is_only_reported_is_never_warned_of_or_acted_on(policy: Policy, facts: Facts) -> None:
    assert decide(replace(policy, action=Action.REPORT), facts, NOW).do in (Do.KEEP, Do.WAIT, Do.CALL_OFF)


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_nobody_is_held_back_from_a_date_that_has_come(policy: Policy, facts: Facts) -> None:
    """What was warned of for long enough goes on its date, whatever else is known: that is what the date is for."""
    date = NOW - 2 * MINUTE
    policy = replace(policy, expires_at=date, keep=False, unreadable=(), blackouts=Blackouts())
    policy = replace(policy, action=Action.DELETE_ENDPOINT)
    warned = Warned(at=date - policy.warn_for, act_after=date, action=policy.action)
    assert _acted_on(decide(policy, replace(facts, warned=warned), NOW))


@_COMMON
@given(policy=_POLICIES, facts=_FACTS)
def test_every_decision_says_why(policy: Policy, facts: Facts) -> None:
    found = decide(policy, facts, NOW)
    assert found.reason
    assert found.reason == found.reason.strip()
    assert found.act_after is None or found.do in (Do.WARN, Do.WAIT, Do.ACT)
