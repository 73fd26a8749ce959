"""Business hours and blackouts: how they are written, and when they hold."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.idle.windows import Blackouts, BusinessHours

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def begins(text: str, first: datetime, days: int = 7) -> list[str]:
    """Return when the hours begin and end, `+` and `-`, in UTC and looked at minute by minute."""
    hours, before, found = BusinessHours.parse(text), False, []
    for minute in range(days * 24 * 60):
        now = first + minute * MINUTE
        if (holds := hours.holds(now) is not None) != before:
            found.append(f"{'+' if holds else '-'}{now:%a %H:%M}")
        before = holds
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ; ;", []),
        ("mon 08:00-18:00 UTC", ["+Mon 08:00", "-Mon 18:00"]),
        ("MON 08:00-18:00 UTC", ["+Mon 08:00", "-Mon 18:00"]),
        ("  mon   08:00-18:00  UTC ;", ["+Mon 08:00", "-Mon 18:00"]),
        ("mon 08:00-18:00 Asia/Tokyo", ["+Mon 00:00", "-Mon 09:00", "+Sun 23:00"]),
        ("tue 08:00-18:00 Asia/Tokyo", ["+Mon 23:00", "-Tue 09:00"]),
        ("tue 08:00-18:00 Asia/Kolkata", ["+Tue 02:30", "-Tue 12:30"]),
        ("mon 18:00-20:00 America/New_York", ["+Mon 23:00", "-Tue 01:00"]),
        ("wed,fri 00:00-24:00 UTC", ["+Wed 00:00", "-Thu 00:00", "+Fri 00:00", "-Sat 00:00"]),
        ("mon-sun 00:00-24:00 UTC", ["+Mon 00:00"]),
        ("fri-mon 00:00-24:00 UTC", ["+Mon 00:00", "-Tue 00:00", "+Fri 00:00"]),
        (
            "tue-tue,thu-fri 12:00-13:00 UTC",
            ["+Tue 12:00", "-Tue 13:00", "+Thu 12:00", "-Thu 13:00", "+Fri 12:00", "-Fri 13:00"],
        ),
        ("wed 22:00-02:00 UTC", ["+Wed 22:00", "-Thu 02:00"]),
        ("wed 22:00-00:00 UTC", ["+Wed 22:00", "-Thu 00:00"]),
        ("wed 22:00-24:00 UTC", ["+Wed 22:00", "-Thu 00:00"]),
        ("sun 22:00-02:00 UTC", ["+Mon 00:00", "-Mon 02:00", "+Sun 22:00"]),
        ("wed 10:00-12:00 UTC; wed 11:00-14:00 UTC", ["+Wed 10:00", "-Wed 14:00"]),
        (
            "wed 10:00-12:00 UTC; thu 10:00-12:00 Europe/Berlin",
            ["+Wed 10:00", "-Wed 12:00", "+Thu 09:00", "-Thu 11:00"],
        ),
    ],
)
def test_hours_hold_in_a_week(text: str, expected: list[str]) -> None:
    assert begins(text, MONDAY) == expected


@pytest.mark.parametrize(
    ("text", "spring", "autumn"),
    [
        # From the Saturday on. The clock jumps at 01:00 UTC: 2:00 -> 3:00 in March, 3:00 -> 2:00 in October.
        (
            "sat-mon 08:00-18:00 Europe/Berlin",
            ["+Sat 07:00", "-Sat 17:00", "+Sun 06:00", "-Sun 16:00"],
            ["+Sat 06:00", "-Sat 16:00", "+Sun 07:00", "-Sun 17:00"],
        ),
        ("sun 02:00-03:00 Europe/Berlin", [], ["+Sun 00:00", "-Sun 02:00"]),
        ("sun 01:00-04:00 Europe/Berlin", ["+Sun 00:00", "-Sun 02:00"], ["+Sat 23:00", "-Sun 03:00"]),
        ("sun 02:30-02:45 Europe/Berlin", [], ["+Sun 00:30", "-Sun 00:45", "+Sun 01:30", "-Sun 01:45"]),
        ("sat 23:00-03:00 Europe/Berlin", ["+Sat 22:00", "-Sun 01:00"], ["+Sat 21:00", "-Sun 02:00"]),
        ("sun 00:00-24:00 Europe/Berlin", ["+Sat 23:00", "-Sun 22:00"], ["+Sat 22:00", "-Sun 23:00"]),
    ],
)
def test_wall_clock_decides_when_the_clock_changes(text: str, spring: list[str], autumn: list[str]) -> None:
    assert begins(text, datetime(2026, 3, 28, tzinfo=UTC), days=2) == spring
    assert begins(text, datetime(2026, 10, 24, tzinfo=UTC), days=2) == autumn


def test_zone_of_the_time_that_is_asked_about_does_not_matter() -> None:
    hours = BusinessHours.parse("mon 08:00-18:00 Europe/Berlin")
    now = datetime(2026, 11, 23, 7, tzinfo=UTC)
    for offset in range(-12, 14):
        assert hours.holds(now.astimezone(timezone(timedelta(hours=offset)))) is not None
        assert hours.holds((now - MINUTE).astimezone(timezone(timedelta(hours=offset)))) is None


def test_hours_say_which_they_are_and_until_when() -> None:
    hours = BusinessHours.parse("sat 10:00-12:00 UTC; mon-fri  08:00-18:00 Europe/Berlin")
    expected = "business hours (mon-fri 08:00-18:00 Europe/Berlin), until 18:00 Europe/Berlin"
    assert hours.holds(MONDAY + timedelta(hours=12)) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("always", "look at 'always'"),
        ("mon-fri 08:00-18:00", "look at"),
        ("mon-fri 8:00-18:00 UTC", "look at"),
        ("mon - fri 08:00-18:00 UTC", "look at"),
        ("mon-fri 08:00-18:00 Europe/Berlin UTC", "look at"),
        ("mon-fri 08:00-18:60 UTC", "18:60 in"),
        ("mon-fri 08:00-24:01 UTC", "24:01 in"),
        ("mon-fri 25:00-26:00 UTC", "25:00 in"),
        ("mon-fri 08:00-08:00 UTC", "no time at all; a whole day is 00:00-24:00"),
        ("mon-fri 24:00-08:00 UTC", "no time at all"),
        ("mon-fri 24:00-24:00 UTC", "no time at all"),
        ("montag 08:00-18:00 UTC", "'montag' in"),
        ("mon-tue-wed 08:00-18:00 UTC", "'mon-tue-wed'"),
        ("mon-xyz 08:00-18:00 UTC", "none of mon, tue"),
        ("mon, 08:00-18:00 UTC", "'' in"),
        ("-fri 08:00-18:00 UTC", "'-fri'"),
        ("mon- 08:00-18:00 UTC", "'mon-'"),
        ("mon 08:00-18:00 Europe/Atlantis", "'Europe/Atlantis' in"),
        ("mon 08:00-18:00 Europe", "no time zone such as"),
        ("mon 08:00-18:00 ../../etc/passwd", "no time zone"),
        ("mon 08:00-18:00 /etc/localtime", "no time zone"),
        ("mon 08:00-18:00 +01:00", "no time zone"),
        ("mon 08:00-18:00 U\0TC", "no time zone"),
        ("mon 08:00-18:00 UTC, tue 08:00-18:00 UTC", "look at"),
        ("sat 10:00-12:00 UTC; sun noon UTC", "look at 'sun noon UTC'"),
    ],
)
def test_other_hours_are_refused_with_the_form_and_the_part(text: str, part: str) -> None:
    with pytest.raises(ValueError, match="mon-fri 08:00-18:00 Europe/Berlin; sat") as caught:
        BusinessHours.parse(text)
    assert part in str(caught.value)


CHRISTMAS = "2026-12-24T00:00+01:00/2027-01-02T00:00+01:00"


@pytest.mark.parametrize(
    ("text", "now", "until"),
    [
        ("", "2026-12-25T00:00Z", None),
        (CHRISTMAS, "2026-12-23T22:59:59.999999Z", None),
        (CHRISTMAS, "2026-12-23T23:00Z", "2027-01-02 00:00+01:00"),
        (CHRISTMAS, "2026-12-24T08:00+09:00", "2027-01-02 00:00+01:00"),
        (CHRISTMAS, "2027-01-01T22:59:59.999999Z", "2027-01-02 00:00+01:00"),
        (CHRISTMAS, "2027-01-01T23:00Z", None),
        (f" {CHRISTMAS} ; ", "2026-12-25T00:00Z", "2027-01-02 00:00+01:00"),
        (CHRISTMAS.replace("/", " / "), "2026-12-25T00:00Z", "2027-01-02 00:00+01:00"),
        (f"2026-12-20T00:00Z/2026-12-26T00:00Z;{CHRISTMAS}", "2026-12-25T00:00Z", "2027-01-02 00:00+01:00"),
        (f"{CHRISTMAS};2026-12-20T00:00Z/2026-12-26T00:00Z", "2026-12-25T00:00Z", "2027-01-02 00:00+01:00"),
        (
            "2026-05-01T00:00Z/2026-05-02T00:00Z;2026-05-02T00:00Z/2026-05-03T00:00Z",
            "2026-05-02T00:00Z",
            "2026-05-03 00:00+00:00",
        ),
        # A period may begin in summer and end in winter.
        ("2026-10-25T00:00+02:00/2026-10-26T00:00+01:00", "2026-10-25T22:59Z", "2026-10-26 00:00+01:00"),
        ("2026-10-25T00:00+02:00/2026-10-26T00:00+01:00", "2026-10-25T23:00Z", None),
    ],
)
def test_blackout_holds_from_its_begin_and_not_at_its_end(text: str, now: str, until: str | None) -> None:
    expected = None if until is None else f"a blackout until {until}"
    assert Blackouts.parse(text).holds(datetime.fromisoformat(now)) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("christmas", "look at 'christmas'"),
        ("2026-12-24T00:00+01:00", "look at"),
        ("2026-12-24/2027-01-02", "look at"),
        ("2026-12-24T00:00/2027-01-02T00:00", "look at"),
        ("2026-12-24T00:00Z/2027-01-02T00:00", "look at"),
        ("2026-12-24T00:00Z/", "look at"),
        ("2026-12-24T00:00Z/P9D", "look at"),
        ("2026-12-24T00:00Z/2026-12-25T00:00Z/2026-12-26T00:00Z", "look at"),
        ("2026-12-24T00:00Z,2026-12-25T00:00Z", "look at"),
        ("2026-02-30T00:00Z/2026-03-01T00:00Z", "look at"),
        ("2026-12-24T00:00Z/2026-12-24T00:00Z", "ends before it begins"),
        ("2026-12-24T00:00Z/2026-12-24T00:30+01:00", "ends before it begins"),
        (f"{CHRISTMAS}; easter", "look at 'easter'"),
    ],
)
def test_other_blackouts_are_refused_with_the_form_and_the_part(text: str, part: str) -> None:
    with pytest.raises(ValueError, match="2026-12-24T00:00") as caught:
        Blackouts.parse(text)
    assert part in str(caught.value)
