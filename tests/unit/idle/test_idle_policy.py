"""What holds for one endpoint: its tags over its run's options over the settings."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import OptionsError
from shared.idle.decision import Do, decide
from shared.idle.findings import Code, Facts, Use
from shared.idle.policy import (
    ACTION_TAG,
    EXPIRES_TAG,
    IDLE_AFTER_TAG,
    KEEP_TAG,
    OPT_IN_TAG,
    WARN_FOR_TAG,
    WARNED_TAG,
    Action,
    Policy,
    policy_for,
)
from shared.idle.words import shown, spelt
from shared.runs.options import checked, effective
from shared.settings import Settings

H, D = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SETTINGS = {
    "AZURE_SUBSCRIPTION_ID": "s",
    "AZURE_RESOURCE_GROUP": "g",
    "AZUREML_WORKSPACE_NAME": "w",
    "DATASET_STORAGE": "UseDevelopmentStorage=true",
    "ADVANCE_SCHEDULE": "0 * * * * *",
    "SWEEP_SCHEDULE": "0 */15 * * * *",
}


def policy(
    tags: dict[str, str] | None = None,
    options: dict[str, Any] | None = None,
    keep_until: datetime | None = None,
    **environment: str,
) -> Policy:
    """Lay the three layers over each other; no options: an endpoint of no run."""
    settings = Settings.load(SETTINGS | environment, config_dir=Path("/nonexistent"))
    chosen = None if options is None else effective(checked(options, "finetune.yaml"), settings)
    return policy_for(settings, chosen, tags or {}, keep_until)


def test_without_anything_the_defaults_of_the_settings_hold() -> None:
    expected = Policy(idle_after=8 * H, grace=H, warn_for=H, action=Action.DELETE_ENDPOINT)
    assert policy() == policy(options={}) == expected


ENVIRONMENT = {"IDLE_AFTER": "2h", "IDLE_WARN_FOR": "10m", "IDLE_ACTION": "report"}
OPTIONS = {"idle_after": "3h", "idle_warn_for": "20m", "idle_action": "scale_down", "expires_at": "2026-12-03T00:00Z"}
TAGS = {
    IDLE_AFTER_TAG: "4h",
    WARN_FOR_TAG: "30m",
    ACTION_TAG: "delete_deployment",
    EXPIRES_TAG: "2026-12-04T00:00+01:00",
}


@pytest.mark.parametrize(
    ("options", "tags", "idle_after", "warn_for_min", "action", "expires_at"),
    [
        (None, {}, 2, 10, Action.REPORT, None),
        ({}, {}, 2, 10, Action.REPORT, None),
        (OPTIONS, {}, 3, 20, Action.SCALE_DOWN, datetime(2026, 12, 3, tzinfo=UTC)),
        (None, TAGS, 4, 30, Action.DELETE_DEPLOYMENT, datetime(2026, 12, 3, 23, tzinfo=UTC)),
        (OPTIONS, TAGS, 4, 30, Action.DELETE_DEPLOYMENT, datetime(2026, 12, 3, 23, tzinfo=UTC)),
        (OPTIONS, {IDLE_AFTER_TAG: "4h"}, 4, 20, Action.SCALE_DOWN, datetime(2026, 12, 3, tzinfo=UTC)),
        ({"idle_after": "3h"}, {ACTION_TAG: "delete_endpoint"}, 3, 10, Action.DELETE_ENDPOINT, None),
    ],
)
def test_tag_lies_over_option_and_option_over_setting(
    options: Any, tags: dict[str, str], idle_after: int, warn_for_min: int, action: Action, expires_at: datetime | None
) -> None:
    found = policy(tags, options, **ENVIRONMENT)
    assert (found.idle_after, found.warn_for) == (idle_after * H, timedelta(minutes=warn_for_min))
    assert (found.action, found.expires_at, found.unreadable) == (action, expires_at, ())


def test_warning_may_be_switched_off_in_every_layer() -> None:
    assert policy(IDLE_WARN_FOR="0s").warn_for == timedelta()
    assert policy(options={"idle_warn_for": "0s"}).warn_for == timedelta()
    assert policy({WARN_FOR_TAG: "0s"}, {"idle_warn_for": "1h"}).warn_for == timedelta()


def test_hours_blackouts_and_grace_come_from_the_settings() -> None:
    found = policy(
        BUSINESS_HOURS="mon-fri 08:00-18:00 UTC",
        BLACKOUT_WINDOWS="2026-12-24T00:00Z/2026-12-27T00:00Z",
        IDLE_GRACE="3h",
    )
    assert found.hours.holds(NOW) is not None
    assert found.blackouts.holds(datetime(2026, 12, 25, tzinfo=UTC)) is not None
    assert found.grace == 3 * H


LATER, TOMORROW = datetime(2026, 11, 26, tzinfo=UTC), datetime(2026, 11, 25, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tag", "option", "asked_until", "keep", "keep_until"),
    [
        (None, None, None, False, None),
        (None, True, None, True, None),
        ("true", None, None, True, None),
        (" True ", None, None, True, None),
        ("false", True, None, False, None),
        ("FALSE", None, None, False, None),
        ("2026-11-26T00:00Z", None, None, False, LATER),
        ("2026-11-26T01:00+01:00", None, None, False, LATER),
        ("2026-11-26T00:00Z", True, None, False, LATER),
        (None, None, LATER, False, LATER),
        ("false", None, LATER, False, LATER),  # somebody asked by name: a tag of the template does not outvote that
        ("true", None, LATER, True, LATER),
        ("2026-11-25T00:00Z", None, LATER, False, LATER),
        ("2026-11-26T00:00Z", None, TOMORROW, False, LATER),
    ],
)
def test_keep_is_whether_or_until_when(
    tag: str | None, option: bool | None, asked_until: datetime | None, keep: bool, keep_until: datetime | None
) -> None:
    options = None if option is None else {"keep": option}
    found = policy({} if tag is None else {KEEP_TAG: tag}, options, asked_until)
    assert (found.keep, found.keep_until, found.unreadable) == (keep, keep_until, ())


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        (IDLE_AFTER_TAG, "", "a duration such as"),
        (IDLE_AFTER_TAG, "0s", "longer than 0s"),
        (IDLE_AFTER_TAG, "8", "a duration such as"),
        (IDLE_AFTER_TAG, "-8h", "a duration such as"),
        (IDLE_AFTER_TAG, "never", "a duration such as"),
        (IDLE_AFTER_TAG, "99999d", "a duration of 3660d at most"),
        (WARN_FOR_TAG, "soon", "a duration such as"),
        (ACTION_TAG, "delete", "one of delete_endpoint, delete_deployment, scale_down, report"),
        (ACTION_TAG, "REPORT", "one of"),
        (ACTION_TAG, "", "one of"),
        (KEEP_TAG, "", "true, false, or a date and time"),
        (KEEP_TAG, "yes", "true, false, or a date and time"),
        (KEEP_TAG, "1", "true, false, or"),
        (KEEP_TAG, "2026-12-24", "true, false, or"),
        (KEEP_TAG, "2026-12-24T18:00", "with its zone"),
        (EXPIRES_TAG, "2026-12-24T18:00", "with its zone"),
        (EXPIRES_TAG, "24.12.2026", "with its zone"),
        (EXPIRES_TAG, "0001-01-01T00:00+23:59", "of the years 2000 to 2999"),
        (EXPIRES_TAG, "9999-12-31T23:59-23:59", "of the years 2000 to 2999"),
        (EXPIRES_TAG, "true", "with its zone"),
    ],
)
def test_endpoint_with_a_tag_nobody_can_read_is_kept_and_that_is_said(tag: str, text: str, expected: str) -> None:
    found = policy({tag: text}, OPTIONS, **ENVIRONMENT)
    (fault,) = found.unreadable
    assert fault.startswith(f"tag {tag} is {text!r}, expected ")
    assert expected in fault
    idle = Use(requests=0, last_request_at=None, connected_at=None, known_until=NOW)
    decision = decide(found, Facts(born_at=NOW - 99 * D, use=idle, instances=2), NOW)
    assert (decision.do, decision.code) == (Do.KEEP, Code.UNREADABLE)
    assert fault in decision.reason


def test_all_unreadable_tags_are_said_and_the_others_count() -> None:
    found = policy({IDLE_AFTER_TAG: "x", ACTION_TAG: "y", WARN_FOR_TAG: "5m"}, OPTIONS)
    assert [fault.split(",")[0] for fault in found.unreadable] == [
        f"tag {IDLE_AFTER_TAG} is 'x'",
        f"tag {ACTION_TAG} is 'y'",
    ]
    assert (found.idle_after, found.action) == (3 * H, Action.SCALE_DOWN)
    assert found.warn_for == timedelta(minutes=5)


def test_long_garbage_is_cut_and_control_characters_are_shown_as_such() -> None:
    (fault,) = policy({IDLE_AFTER_TAG: "a\n" * 200}).unreadable
    assert len(fault) < 220
    assert "\n" not in fault


@pytest.mark.parametrize("name", ["finetune.keep", "Finetune.Keep", "FINETUNE.KEEP"])
def test_case_of_a_tags_name_does_not_matter(name: str) -> None:
    assert policy({name: "true"}).keep


def test_blanks_around_a_tags_value_do_not_matter() -> None:
    found = policy({IDLE_AFTER_TAG: " 4h ", ACTION_TAG: "report\n", EXPIRES_TAG: " 2026-12-03T00:00Z "})
    assert (found.idle_after, found.action, found.unreadable) == (4 * H, Action.REPORT, ())


@pytest.mark.parametrize("name", [WARNED_TAG, OPT_IN_TAG, "finetune.run", "keep", "finetune.keep ", "xfinetune.keep"])
def test_other_tags_say_nothing(name: str) -> None:
    assert policy({name: "garbage"}) == policy()


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("idle_after", "0s", "longer than 0s"),
        ("idle_warn_for", "later", "a duration such as"),
        ("idle_action", "explode", "one of delete_endpoint"),
        ("expires_at", "2026-12-24", "with its zone"),
    ],
)
def test_option_nobody_can_read_is_refused_before_it_becomes_a_policy(option: str, text: str, expected: str) -> None:
    with pytest.raises(OptionsError, match=expected):
        policy(options={option: text})


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (86399, "23 h 59 min"),
        (86400, "1 d"),
        (86400 + 60, "1 d"),
        (2 * 86400 + 3 * 3600 + 59, "2 d 3 h"),
    ],
)
def test_durations_are_spelt_in_two_units_and_never_rounded_up(seconds: float, expected: str) -> None:
    assert spelt(timedelta(seconds=seconds)) == expected


def test_times_are_shown_in_utc() -> None:
    assert shown(datetime.fromisoformat("2026-10-25T02:30:59+02:00")) == "2026-10-25 00:30 UTC"
