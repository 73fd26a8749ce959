"""Each form of a setting: what it takes, and that what it refuses is answered with the expected form."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared import setting_forms as forms
from shared.idle.policy import Action, parse_action

FORM: dict[Callable[[str], Any], str] = {
    forms.duration: "a duration",
    forms.span: "a duration",
    forms.moment: "a date and time with its zone",
    forms.utc_moment: "a date and time with its zone",
    forms.count: "a whole number, 1 or more",
    forms.flag: "true or false",
    forms.dollars: "an amount of US dollars",
    forms.megabytes: "a whole number of megabytes",
    forms.percent: "a number above 0 and up to 100",
    forms.fraction: "a number above 0 and up to 0.5",
    forms.hyperparameters: "a JSON object of names and plain values",
    forms.prices: "a JSON object of VM sizes and US dollars an hour",
    forms.schedule: "an NCRONTAB expression",
    forms.https_url: "an https:// URL",
    forms.sweep_scope: "app or workspace",
    parse_action: "one of delete_endpoint, delete_deployment, scale_down, report",
}


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (forms.duration, "0s", timedelta()),
        (forms.duration, " 1D 2H 3M 4S ", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        (forms.duration, "3660d", timedelta(days=3660)),
        (forms.span, "1s", timedelta(seconds=1)),
        (forms.utc_moment, "2026-12-24T18:00+01:00", datetime(2026, 12, 24, 17, tzinfo=UTC)),
        (forms.utc_moment, " 2026-12-24 18:00Z ", datetime(2026, 12, 24, 18, tzinfo=UTC)),
        (forms.utc_moment, "2000-01-01T00:00+14:00", datetime(1999, 12, 31, 10, tzinfo=UTC)),
        (forms.count, "1", 1),
        (forms.flag, "TRUE", True),
        (forms.flag, "False", False),
        (forms.dollars, "0", 0.0),
        (forms.dollars, "1e3", 1000.0),
        (forms.megabytes, "0", 0),
        (forms.percent, "100", 100.0),
        (forms.fraction, "0.5", 0.5),
        (forms.hyperparameters, '{"a": 1, "b": "c", "d": true}', {"a": 1, "b": "c", "d": True}),
        (forms.prices, "{}", {}),
        (forms.prices, '{"Standard_F4s_v2": 1, "x": 0.19}', {"Standard_F4s_v2": 1.0, "x": 0.19}),
        (forms.schedule, "0 */15 * * * *", "0 */15 * * * *"),
        (forms.https_url, "", ""),
        (forms.https_url, "https://x", "https://x"),
        (forms.sweep_scope, "workspace", forms.SweepScope.WORKSPACE),
        (parse_action, "scale_down", Action.SCALE_DOWN),
        (forms.optional(forms.span), "", None),
        (forms.optional(forms.span), "30d", timedelta(days=30)),
    ],
)
def test_value_is_read(form: Callable[[str], Any], text: str, expected: Any) -> None:
    assert form(text) == expected


@pytest.mark.parametrize(
    ("form", "text"),
    [
        *[(forms.duration, text) for text in ("1w", "1h 30", "1h,30m", "∞", "3660d1s", "9" * 5000 + "d", "1.5h")],
        *[(forms.span, text) for text in ("0s", "0h0m", "", "-1s")],
        *[(forms.moment, text) for text in ("", "now", "2026-12-24", "2026-12-24T18:00", "18:00+01:00", "1766590000")],
        *[
            (forms.moment, text)
            for text in ("1999-12-31T23:59Z", "3000-01-01T00:00Z", "2026-12-24T18:00 Europe/Berlin")
        ],
        *[(forms.utc_moment, text) for text in ("0001-01-01T00:00+01:00", "9999-12-31T23:00-01:00")],
        *[(forms.count, text) for text in ("0", "-1", "1.0", "", " 1", "²")],
        *[(forms.megabytes, text) for text in ("-1", "1MB", "", "²")],
        *[(forms.flag, text) for text in ("", "yes", "1", "true ")],
        *[(forms.dollars, text) for text in ("-1", "nan", "inf", "1e10", "", "$5")],
        *[(forms.percent, text) for text in ("0", "100.1", "nan", "ten")],
        *[(forms.fraction, text) for text in ("0", "0.51", "nan", "")],
        *[(forms.hyperparameters, text) for text in ("", "[]", '{"a": null}', '{"a": [1]}', "{")],
        *[(forms.prices, text) for text in ("", "[]", "3", '{"x": 0}', '{"x": -1}', '{"x": "3"}', '{"x": null}')],
        *[(forms.prices, text) for text in ('{"x": true}', '{"x": NaN}', '{"x": Infinity}', '{"x": 1e7}', "[" * 9999)],
        *[(forms.schedule, text) for text in ("", "now", "* * * *", "0 0 0 0 0 0 0")],
        *[(forms.https_url, text) for text in ("http://x", "x")],
        *[(forms.sweep_scope, text) for text in ("", "App", "subscription")],
        *[(parse_action, text) for text in ("", "Report", "delete")],
    ],
)
def test_other_text_is_refused_with_the_expected_form(form: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{FORM[form]}"):
        form(text)


def test_blackouts_keep_the_zone_that_people_wrote() -> None:
    assert forms.moment("2026-12-24T18:00+01:00").isoformat() == "2026-12-24T18:00:00+01:00"
