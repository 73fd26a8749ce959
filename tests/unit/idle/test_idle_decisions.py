"""Every decision about an endpoint, just under and just over each bound."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from shared.idle.decision import Decision, Do, decide, longest_look_back
from shared.idle.findings import LATE, Code, Facts, Use, Warned
from shared.idle.policy import Action, Policy
from shared.idle.windows import Blackouts, BusinessHours

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)  # a Tuesday
S, MIN, H, D = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BERLIN_HOURS = BusinessHours.parse("mon-fri 08:00-18:00 Europe/Berlin")
NIGHT = BusinessHours.parse("sat 22:00-03:00 Europe/Berlin")
SUNDAY = BusinessHours.parse("sun 01:30-02:30 Europe/Berlin")
HOLIDAYS = Blackouts.parse("2026-11-24T11:00+01:00/2026-11-24T14:00+01:00")  # 10:00 to 13:00 UTC


def used(
    requests: float = 0,
    *,
    last: timedelta | None = None,
    connected: timedelta | None = None,
    behind: timedelta | None = 3 * MIN,
    now: datetime = NOW,
) -> Use:
    """Use, with how long ago each minute was; nobody's use without arguments."""
    return Use(
        requests=requests,
        last_request_at=None if last is None else now - last,
        connected_at=None if connected is None else now - connected,
        known_until=None if behind is None else now - behind,
    )


def warned(
    ago: timedelta, promised: timedelta = H, action: Action = Action.DELETE_ENDPOINT, *, now: datetime = NOW
) -> Warned:
    """A warning given so long ago, that promised to wait for so long."""
    return Warned(at=now - ago, act_after=now - ago + promised, action=action)


def decided(*, now: datetime = NOW, **given: Any) -> Decision:
    """Decide about an endpoint ten days old, which nobody uses and nobody was warned of; `given` says what differs."""
    of_policy = {field.name for field in fields(Policy)}
    policy: dict[str, Any] = {"idle_after": 8 * H, "grace": H, "warn_for": H, "action": Action.DELETE_ENDPOINT}
    facts: dict[str, Any] = {"born_at": now - 10 * D, "use": used(now=now), "instances": 2}
    for name, value in given.items():
        (policy if name in of_policy else facts)[name] = value
    return decide(Policy(**policy), Facts(**facts), now)


def case(name: str, do: Do, code: Code, part: str, **given: Any) -> Any:
    return pytest.param(do, code, part, given, id=name)


def at(text: str, **given: Any) -> dict[str, Any]:
    """Return what makes an endpoint due at a time in UTC: idle, counted until now, its warning two hours old."""
    now = datetime.fromisoformat(text).astimezone(UTC)
    return {"now": now, "use": used(behind=timedelta(), now=now), "warned": warned(2 * H, now=now), **given}


KEEP, WARN, WAIT, ACT, CALL_OFF = Do.KEEP, Do.WARN, Do.WAIT, Do.ACT, Do.CALL_OFF
DUE: dict[str, Any] = {"warned": warned(2 * H)}
LEFT_ALONE = [
    case("born_just_now", KEEP, Code.YOUNG, "answers for 0 s only; looked at from 8 h on", born_at=NOW),
    case("younger_than_idle_after", KEEP, Code.YOUNG, "7 h 59 min", born_at=NOW - 8 * H + S),
    case("as_old_as_idle_after", WARN, Code.IDLE, "no request in the last 8 h", born_at=NOW - 8 * H),
    case("younger_than_grace", KEEP, Code.YOUNG, "from 9 h on", grace=9 * H, born_at=NOW - 9 * H + S),
    case("as_old_as_grace", WARN, Code.IDLE, "no request", grace=9 * H, born_at=NOW - 9 * H),
    case("born_at_a_time_to_come", KEEP, Code.YOUNG, "0 s", born_at=NOW + MIN),
    case("born_nobody_knows_when", KEEP, Code.UNKNOWN, "since when it answers is unknown", born_at=None),
    case("brought_back_while_warned", CALL_OFF, Code.YOUNG, "the warning is withdrawn", born_at=NOW - H, **DUE),
    case("changed_just_now", KEEP, Code.CHANGED, "changed 0 s ago, within 1 h", changed_at=NOW),
    case("changed_within_grace", KEEP, Code.CHANGED, "59 min 59 s ago", changed_at=NOW - H + S),
    case("changed_grace_ago", WARN, Code.IDLE, "no request", changed_at=NOW - H),
    case("changed_since_the_warning", CALL_OFF, Code.CHANGED, "withdrawn", changed_at=NOW - 5 * MIN, **DUE),
    case("changed_without_grace", WARN, Code.IDLE, "no request", grace=0 * H, changed_at=NOW),
]
USED = [
    case(
        "one_request",
        KEEP,
        Code.IN_USE,
        "1 request in the last 8 h, the newest at 2026-11-24 11:00",
        use=used(1, last=H),
    ),
    case("many_requests", KEEP, Code.IN_USE, "25 requests", use=used(25, last=H)),
    case("requests_at_an_unknown_minute", KEEP, Code.IN_USE, "2 requests in the last 8 h", use=used(2)),
    case("half_a_request", KEEP, Code.IN_USE, "0.5 requests", use=used(0.5, last=H)),
    case("request_whose_minute_ends_within", KEEP, Code.IN_USE, "a request at", use=used(last=8 * H + MIN - S)),
    case("request_whose_minute_ends_at_the_bound", WARN, Code.IDLE, "no request", use=used(last=8 * H + MIN)),
    case("request_long_ago", WARN, Code.IDLE, "no request", use=used(last=9 * D)),
    case("request_in_figures_an_hour_late", KEEP, Code.IN_USE, "1 request", use=used(1, last=2 * H, behind=H)),
    case("request_in_figures_of_unknown_end", KEEP, Code.IN_USE, "1 request", use=used(1, last=H, behind=None)),
    case(
        "client_connected_now",
        KEEP,
        Code.CONNECTED,
        "a client was connected at 2026-11-24 12:00",
        use=used(connected=0 * H),
    ),
    case("client_connected_lately", KEEP, Code.CONNECTED, "11:45", use=used(connected=LATE)),
    case("client_gone", WARN, Code.IDLE, "no request", use=used(connected=LATE + S)),
    case("client_in_late_figures", KEEP, Code.CONNECTED, "connected", use=used(connected=10 * MIN, behind=None)),
    case("client_came_during_the_warning", CALL_OFF, Code.CONNECTED, "withdrawn", use=used(connected=MIN), **DUE),
    case("client_came_and_went_during_the_warning", ACT, Code.IDLE, "no request", use=used(connected=H), **DUE),
]
NOT_KNOWN = [
    case(
        "no_figures",
        KEEP,
        Code.UNKNOWN,
        "its traffic is unknown: Azure Monitor is away",
        use=None,
        use_fault="Azure Monitor is away",
    ),
    case("no_figures_nor_a_reason", KEEP, Code.UNKNOWN, "its traffic is unknown", use=None),
    case("no_figures_when_due", WAIT, Code.UNKNOWN, "nothing is done before that is known", use=None, **DUE),
    case("no_figures_and_no_warning_wanted", KEEP, Code.UNKNOWN, "unknown", use=None, warn_for=0 * H),
    case("figures_of_unknown_end", KEEP, Code.UNKNOWN, "up to when Azure Monitor has counted", use=used(behind=None)),
    case("figures_of_unknown_end_when_due", WAIT, Code.UNKNOWN, "up to when", use=used(behind=None), **DUE),
    case("figures_as_late_as_is_believed", WARN, Code.IDLE, "no request", use=used(behind=LATE)),
    case("figures_a_second_later", KEEP, Code.LATE, "15 min 1 s behind, 15 min at most", use=used(behind=LATE + S)),
    case("figures_too_late_when_due", WAIT, Code.LATE, "20 min behind", use=used(behind=20 * MIN), **DUE),
    case("figures_ahead_of_the_clock", WARN, Code.IDLE, "no request", use=used(behind=-2 * MIN)),
    case("age_unknown_when_due", WAIT, Code.UNKNOWN, "since when", born_at=None, **DUE),
]
WARNINGS = [
    case("first_seen_idle", WARN, Code.IDLE, "the endpoint is deleted after 2026-11-24 13:00 UTC"),
    case("warned_just_now", WAIT, Code.IDLE, "warned, the endpoint is deleted after", warned=warned(0 * H)),
    case("warning_a_second_short", WAIT, Code.IDLE, "12:00", warned=warned(H - S), use=used(behind=0 * H)),
    case("warning_over", ACT, Code.IDLE, "no request in the last 8 h", warned=warned(H), use=used(behind=0 * H)),
    case("warning_over_and_figures_lag", WAIT, Code.LATE, "has not yet counted the last 3 min of it", warned=warned(H)),
    case("figures_reach_the_end_of_the_warning", ACT, Code.IDLE, "no request", warned=warned(H + 3 * MIN)),
    case("figures_end_a_second_before_it", WAIT, Code.LATE, "the last 1 s", warned=warned(H + 3 * MIN - S)),
    case("warning_days_ago", ACT, Code.IDLE, "no request", warned=warned(3 * D)),
    case("request_during_it", CALL_OFF, Code.IN_USE, "withdrawn", use=used(1, last=H), **DUE),
    case("request_in_its_last_minute", CALL_OFF, Code.IN_USE, "withdrawn", use=used(1, last=MIN), warned=warned(H)),
    case("request_after_its_end", CALL_OFF, Code.IN_USE, "1 request", use=used(1, last=5 * MIN), **DUE),
    case(
        "request_in_the_minute_of_it",
        CALL_OFF,
        Code.IN_USE,
        "after the warning",
        idle_after=H,
        use=used(last=2 * H + 30 * S),
        **DUE,
    ),
    case(
        "request_in_the_minute_before_it",
        ACT,
        Code.IDLE,
        "in the last 1 h",
        idle_after=H,
        use=used(last=2 * H + MIN),
        **DUE,
    ),
    case(
        "request_early_in_a_long_one",
        CALL_OFF,
        Code.IN_USE,
        "after the warning",
        idle_after=H,
        warn_for=D,
        use=used(last=20 * H),
        warned=warned(D, D),
    ),
    case("no_warning_wanted", ACT, Code.IDLE, "no request", warn_for=0 * H),
    case("no_warning_wanted_and_usual_lag", ACT, Code.IDLE, "no request", warn_for=0 * H, use=used(behind=LATE)),
    case("no_warning_wanted_any_more", WAIT, Code.IDLE, "12:30", warn_for=0 * H, warned=warned(H / 2)),
    case("shorter_warning_wanted_since", WAIT, Code.IDLE, "12:30", warn_for=H / 4, warned=warned(H / 2)),
    case("longer_warning_wanted_since", WAIT, Code.IDLE, "2026-11-24 14:00", warn_for=4 * H, **DUE),
    case(
        "longer_idle_after_since",
        CALL_OFF,
        Code.IN_USE,
        "in the last 12 h",
        idle_after=12 * H,
        use=used(1, last=9 * H),
        **DUE,
    ),
    case("longer_idle_after_than_its_age", CALL_OFF, Code.YOUNG, "looked at from 11 d on", idle_after=11 * D, **DUE),
    case(
        "another_action_since",
        WARN,
        Code.IDLE,
        "(the warning until now was of scale_down)",
        warned=warned(D, action=Action.SCALE_DOWN),
    ),
    case(
        "another_action_and_no_warning",
        ACT,
        Code.IDLE,
        "no request",
        warn_for=0 * H,
        warned=warned(D, action=Action.SCALE_DOWN),
    ),
    case("warned_by_a_clock_ahead", WAIT, Code.IDLE, "13:02", warned=warned(-2 * MIN)),
]
PAST, SOON, AHEAD = NOW - 2 * H, NOW + H, NOW + H + S
KEPT = [
    case("keep", KEEP, Code.KEPT, "keep is true", keep=True),
    case("keep_when_due", CALL_OFF, Code.KEPT, "withdrawn", keep=True, **DUE),
    case("keep_over_expiry", KEEP, Code.KEPT, "keep is true", keep=True, expires_at=PAST),
    case("keep_over_expiry_when_due", CALL_OFF, Code.KEPT, "keep is true", keep=True, expires_at=PAST, **DUE),
    case("garbage", KEEP, Code.UNREADABLE, "kept, because a is 1; b is 2", unreadable=("a is 1", "b is 2")),
    case("garbage_over_keep", KEEP, Code.UNREADABLE, "a is 1", keep=True, unreadable=("a is 1",)),
    case(
        "garbage_over_expiry_when_due",
        CALL_OFF,
        Code.UNREADABLE,
        "a is 1",
        unreadable=("a is 1",),
        expires_at=PAST,
        **DUE,
    ),
    case("keep_until_ahead", KEEP, Code.KEPT, "kept until 2026-11-24 12:00 UTC", keep_until=NOW + S),
    case("keep_until_now", WARN, Code.IDLE, "no request", keep_until=NOW),
    case("keep_until_when_due", CALL_OFF, Code.KEPT, "kept until", keep_until=AHEAD, **DUE),
    case("keep_until_and_unknown", KEEP, Code.KEPT, "kept until", keep_until=AHEAD, use=None),
    case("keep_until_over_far_expiry", KEEP, Code.KEPT, "kept until", keep_until=AHEAD, expires_at=AHEAD),
    case(
        "expiry_over_keep_until", WARN, Code.EXPIRED, "expired on 2026-11-24 10:00", keep_until=AHEAD, expires_at=PAST
    ),
    case("expiry_over_keep_until_when_due", ACT, Code.EXPIRED, "expired on", keep_until=AHEAD, expires_at=PAST, **DUE),
    case("keep_until_is_over_and_expiry_far", WARN, Code.IDLE, "no request", keep_until=PAST, expires_at=NOW + 9 * D),
]
BUSY = used(9, last=MIN)
EXPIRY = [
    case("further_than_the_warning", KEEP, Code.IN_USE, "9 requests", expires_at=AHEAD, use=BUSY),
    case("as_near_as_the_warning", WARN, Code.EXPIRED, "expires on 2026-11-24 13:00 UTC", expires_at=SOON, use=BUSY),
    case("a_second_before", WAIT, Code.EXPIRED, "warned", expires_at=NOW + S, use=BUSY, warned=warned(H - S)),
    case("now", ACT, Code.EXPIRED, "expired on 2026-11-24 12:00", expires_at=NOW, use=BUSY, warned=warned(H)),
    case("past_and_never_warned", WARN, Code.EXPIRED, "deleted after 2026-11-24 13:00", expires_at=PAST, use=BUSY),
    case("past_and_no_warning_wanted", ACT, Code.EXPIRED, "expired on", expires_at=PAST, use=BUSY, warn_for=0 * H),
    case("ahead_and_no_warning_wanted", KEEP, Code.IN_USE, "9 requests", expires_at=NOW + S, use=BUSY, warn_for=0 * H),
    case("past_and_unknown", ACT, Code.EXPIRED, "expired on", expires_at=PAST, use=None, **DUE),
    case("past_and_late", ACT, Code.EXPIRED, "expired on", expires_at=PAST, use=used(behind=D), **DUE),
    case("past_and_young", WARN, Code.EXPIRED, "expired on", expires_at=PAST, born_at=NOW),
    case("past_and_connected", ACT, Code.EXPIRED, "expired on", expires_at=PAST, use=used(connected=MIN), **DUE),
    case(
        "in_another_zone",
        ACT,
        Code.EXPIRED,
        "expired on 2026-11-24 12:00 UTC",
        expires_at=NOW.astimezone(timezone(9 * H)),
        use=BUSY,
        **DUE,
    ),
    case(
        "in_another_zone_ahead",
        WAIT,
        Code.EXPIRED,
        "expires on",
        expires_at=(NOW + S).astimezone(timezone(-9 * H)),
        use=BUSY,
        **DUE,
    ),
    case("put_off_since_the_warning", CALL_OFF, Code.IN_USE, "withdrawn", expires_at=NOW + D, use=BUSY, **DUE),
    case(
        "put_off_a_little_since", WAIT, Code.EXPIRED, "after 2026-11-24 12:30", expires_at=NOW + H / 2, use=BUSY, **DUE
    ),
    case("idle_and_due_before", ACT, Code.IDLE, "no request", expires_at=NOW + H / 2, **DUE),
    case(
        "idle_and_warned_before",
        WAIT,
        Code.IDLE,
        "after 2026-11-24 12:30",
        expires_at=NOW + H * 3 / 4,
        warned=warned(H / 2),
    ),
    case("idle_but_expired_sooner_counts", ACT, Code.EXPIRED, "expired on", expires_at=NOW, warned=warned(H)),
    case("used_again_but_expiring", WAIT, Code.EXPIRED, "warned", expires_at=NOW + H / 2, use=BUSY, **DUE),
    case("in_business_hours", ACT, Code.EXPIRED, "expired on", expires_at=PAST, hours=BERLIN_HOURS, **DUE),
    case(
        "idle_and_held_by_business_hours_until_then",
        ACT,
        Code.EXPIRED,
        "expired on",
        expires_at=NOW - H / 2,
        hours=BERLIN_HOURS,
        warned=warned(3 * H),
    ),
    case(
        "idle_and_held_by_late_figures_until_then",
        ACT,
        Code.EXPIRED,
        "expired on",
        expires_at=NOW - S,
        warned=warned(H + MIN),
        use=used(behind=10 * MIN),
    ),
    case(
        "in_a_blackout",
        WAIT,
        Code.BLACKOUT,
        "a blackout until 2026-11-24 14:00+01:00",
        expires_at=PAST,
        blackouts=HOLIDAYS,
        **DUE,
    ),
    case("never_warned_in_a_blackout", KEEP, Code.BLACKOUT, "a blackout", expires_at=PAST, blackouts=HOLIDAYS),
    case("only_reported", KEEP, Code.REPORT_ONLY, "only reported", expires_at=PAST, action=Action.REPORT),
]
SCALE: dict[str, Any] = {"action": Action.SCALE_DOWN}
SCALE_DUE: dict[str, Any] = {**SCALE, "warned": warned(2 * H, action=Action.SCALE_DOWN)}
ACTIONS = [
    case("report", KEEP, Code.REPORT_ONLY, "no request in the last 8 h; only reported", action=Action.REPORT),
    case("report_without_warning", KEEP, Code.REPORT_ONLY, "only reported", action=Action.REPORT, warn_for=0 * H),
    case("report_since_the_warning", CALL_OFF, Code.REPORT_ONLY, "withdrawn", action=Action.REPORT, **DUE),
    case("report_in_use", KEEP, Code.IN_USE, "1 request", action=Action.REPORT, use=used(1)),
    case("two_instances", WARN, Code.IDLE, "scaled down to one instance after 2026-11-24 13:00", **SCALE),
    case("two_instances_due", ACT, Code.IDLE, "no request", **SCALE_DUE),
    case("one_instance", KEEP, Code.AT_MINIMUM, "scaling down goes no further", instances=1, **SCALE),
    case("no_instance", KEEP, Code.AT_MINIMUM, "no further", instances=0, **SCALE),
    case("one_instance_since_the_warning", CALL_OFF, Code.AT_MINIMUM, "withdrawn", instances=1, **SCALE_DUE),
    case("unknown_instances", KEEP, Code.UNKNOWN, "how many instances it has is unknown", instances=None, **SCALE),
    case("unknown_instances_when_due", WAIT, Code.UNKNOWN, "before that is known", instances=None, **SCALE_DUE),
    case(
        "unknown_instances_when_expired", WAIT, Code.UNKNOWN, "instances", instances=None, expires_at=PAST, **SCALE_DUE
    ),
    case("unknown_instances_do_not_matter", ACT, Code.IDLE, "no request", instances=None, **DUE),
    case("deployment", WARN, Code.IDLE, "the deployment is deleted after", action=Action.DELETE_DEPLOYMENT),
]
WINDOWS = [
    case("warned_of_in_business_hours", WARN, Code.IDLE, "no request", hours=BERLIN_HOURS),
    case("due_in_business_hours", WAIT, Code.BUSINESS_HOURS, "until 18:00 Europe/Berlin", hours=BERLIN_HOURS, **DUE),
    case(
        "no_warning_in_business_hours", KEEP, Code.BUSINESS_HOURS, "business hours", hours=BERLIN_HOURS, warn_for=0 * H
    ),
    case("in_use_in_business_hours", CALL_OFF, Code.IN_USE, "1 request", hours=BERLIN_HOURS, use=used(1), **DUE),
    case("before_they_begin", ACT, Code.IDLE, "no request", **at("2026-11-24T06:59:59Z", hours=BERLIN_HOURS)),
    case("as_they_begin", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-11-24T07:00Z", hours=BERLIN_HOURS)),
    case("in_their_last_second", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-11-24T16:59:59Z", hours=BERLIN_HOURS)),
    case("as_they_end", ACT, Code.IDLE, "no request", **at("2026-11-24T17:00Z", hours=BERLIN_HOURS)),
    case("weekend", ACT, Code.IDLE, "no request", **at("2026-11-28T12:00Z", hours=BERLIN_HOURS)),
    # Clocks go from 2:00 to 3:00 on 29 March, and from 3:00 back to 2:00 on 25 October.
    case("friday_before_summer", ACT, Code.IDLE, "no request", **at("2026-03-27T06:30Z", hours=BERLIN_HOURS)),
    case("monday_in_summer", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-03-30T06:30Z", hours=BERLIN_HOURS)),
    case("friday_before_winter", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-10-23T06:30Z", hours=BERLIN_HOURS)),
    case("monday_in_winter", ACT, Code.IDLE, "no request", **at("2026-10-26T06:30Z", hours=BERLIN_HOURS)),
    case("into_summer_before_the_jump", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-03-29T00:59:59Z", hours=NIGHT)),
    case("into_summer_after_the_jump", ACT, Code.IDLE, "no request", **at("2026-03-29T01:00Z", hours=NIGHT)),
    case("into_winter_first_2_o_clock", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-10-25T00:30Z", hours=NIGHT)),
    case("into_winter_second_2_o_clock", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-10-25T01:59:59Z", hours=NIGHT)),
    case("into_winter_3_o_clock", ACT, Code.IDLE, "no request", **at("2026-10-25T02:00Z", hours=NIGHT)),
    case("hour_half_skipped_holds_before", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-03-29T00:59Z", hours=SUNDAY)),
    case("hour_half_skipped_is_over_after", ACT, Code.IDLE, "no request", **at("2026-03-29T01:00Z", hours=SUNDAY)),
    case("hour_half_repeated_first", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-10-25T00:29Z", hours=SUNDAY)),
    case("hour_half_repeated_between", ACT, Code.IDLE, "no request", **at("2026-10-25T00:30Z", hours=SUNDAY)),
    case("hour_half_repeated_again", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-10-25T01:29Z", hours=SUNDAY)),
    case("saturday_before_midnight", WAIT, Code.BUSINESS_HOURS, "hours", **at("2026-11-28T22:59Z", hours=NIGHT)),
    case("sunday_after_midnight", WAIT, Code.BUSINESS_HOURS, "until 03:00", **at("2026-11-29T01:59Z", hours=NIGHT)),
    case("saturday_after_midnight", ACT, Code.IDLE, "no request", **at("2026-11-28T01:00Z", hours=NIGHT)),
    case("before_a_blackout", ACT, Code.IDLE, "no request", **at("2026-11-24T09:59:59Z", blackouts=HOLIDAYS)),
    case("as_a_blackout_begins", WAIT, Code.BLACKOUT, "no request", **at("2026-11-24T10:00Z", blackouts=HOLIDAYS)),
    case(
        "last_second_of_a_blackout",
        WAIT,
        Code.BLACKOUT,
        "14:00+01:00",
        **at("2026-11-24T12:59:59Z", blackouts=HOLIDAYS),
    ),
    case("as_a_blackout_ends", ACT, Code.IDLE, "no request", **at("2026-11-24T13:00Z", blackouts=HOLIDAYS)),
    case("idle_in_a_blackout", KEEP, Code.BLACKOUT, "a blackout", blackouts=HOLIDAYS),
    case("no_warning_in_a_blackout", KEEP, Code.BLACKOUT, "a blackout", blackouts=HOLIDAYS, warn_for=0 * H),
    case("in_use_in_a_blackout", CALL_OFF, Code.IN_USE, "1 request", blackouts=HOLIDAYS, use=used(1), **DUE),
]


@pytest.mark.parametrize(
    ("do", "code", "part", "given"),
    [*LEFT_ALONE, *USED, *NOT_KNOWN, *WARNINGS, *KEPT, *EXPIRY, *ACTIONS, *WINDOWS],
)
def test_decision_is_made_by_the_first_thing_that_is_true(do: Do, code: Code, part: str, given: dict[str, Any]) -> None:
    found = decided(**given)
    assert (found.do, found.code) == (do, code), found.reason
    assert part in found.reason


@pytest.mark.parametrize(
    ("given", "act_after"),
    [
        ({}, NOW + H),
        ({"warn_for": 5 * H}, NOW + 5 * H),
        ({"expires_at": NOW + H / 2}, NOW + H),  # a warning is never shorter than `warn_for`
        ({"expires_at": NOW + H, "use": BUSY}, NOW + H),
        ({"warned": warned(H / 2)}, NOW + H / 2),
        ({"warned": warned(H / 2, 3 * H)}, NOW + 2.5 * H),  # what was promised
        ({"warned": warned(H / 2), "warn_for": 2 * H}, NOW + 1.5 * H),
        ({"warned": warned(D, action=Action.SCALE_DOWN)}, NOW + H),  # a new warning, with the whole time
        ({"warned": warned(2 * H), "blackouts": HOLIDAYS}, NOW - H),
        ({"warned": warned(2 * H), "use": None}, NOW - H),
        ({"blackouts": HOLIDAYS}, None),
        ({"use": BUSY}, None),
        ({"use": BUSY, "warned": warned(H / 2)}, None),
        ({"keep": True, "warned": warned(H / 2)}, None),
        ({"warn_for": 0 * H, "hours": BERLIN_HOURS}, None),
    ],
)
def test_decision_says_when_it_is_due(given: dict[str, Any], act_after: datetime | None) -> None:
    assert decided(**given).act_after == act_after


@pytest.mark.parametrize(
    ("warning", "expected"),
    [(None, 8 * H + MIN), (warned(H), 8 * H + MIN), (warned(20 * H, D), 20 * H + MIN)],
)
def test_traffic_is_read_back_to_the_warning(warning: Warned | None, expected: timedelta) -> None:
    policy = Policy(idle_after=8 * H, grace=H, warn_for=H, action=Action.REPORT)
    assert longest_look_back(policy, warning, NOW) == expected
