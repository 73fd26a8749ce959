"""Times at which the sweep holds still: business hours, which come every week, and blackouts, which come once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.setting_forms import moment

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(?P<days>[a-z,-]+) (?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d) (?P<zone>\S+)", re.IGNORECASE)
_HOURS_FORM = "business hours such as mon-fri 08:00-18:00 Europe/Berlin; sat 10:00-12:00 Europe/Berlin"
_BLACKOUT_FORM = "periods such as 2026-12-24T00:00+01:00/2027-01-02T00:00+01:00, divided by semicolons"
_DAY = 24 * 60


@dataclass(frozen=True)
class _Hours:
    """One part of the business hours. Minutes count from midnight; an end before the begin is on the next day."""

    text: str
    days: frozenset[int]
    begin: int
    end: int
    zone: ZoneInfo

    def holds(self, now: datetime) -> bool:
        """Tell whether the zone's wall clock shows a time within them.

        The wall clock alone decides, so that a time which a change of the clock skips is never, and one which it
        repeats is twice.
        """
        local = now.astimezone(self.zone)
        today, minute = local.weekday(), local.hour * 60 + local.minute
        if self.begin < self.end:
            return today in self.days and self.begin <= minute < self.end
        began_yesterday = (today - 1) % 7 in self.days and minute < self.end
        return began_yesterday or (today in self.days and minute >= self.begin)


@dataclass(frozen=True)
class BusinessHours:
    """Hours of the week in which an idle endpoint stays: people may be about to use it, and a GPU comes back slowly."""

    parts: tuple[_Hours, ...] = ()

    @classmethod
    def parse(cls, text: str) -> BusinessHours:
        """Read "mon-fri 08:00-18:00 Europe/Berlin; sat 10:00-12:00 Europe/Berlin"; the empty text is no hours at all.

        Days are a list (`mon,wed`) or a range (`fri-mon`). "22:00-02:00" ends on the next day, "00:00-24:00" is a day.

        Raises: ValueError: says the expected form, and the part that has another.
        """
        return cls(tuple(_hours(part) for part in _parts(text)))

    def holds(self, now: datetime) -> str | None:
        """Say that now is within them, and until when; None: it is not."""
        for part in self.parts:
            if part.holds(now):
                until = f"{part.end // 60:02}:{part.end % 60:02} {part.zone.key}"
                return f"business hours ({part.text}), until {until}"
        return None


@dataclass(frozen=True)
class _Period:
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Blackouts:
    """Periods in which nothing is warned of and nothing done, such as holidays."""

    periods: tuple[_Period, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Blackouts:
        """Read "2026-12-24T00:00+01:00/2027-01-02T00:00+01:00; …"; the empty text is no blackout at all.

        Raises: ValueError: says the expected form, and the part that has another.
        """
        return cls(tuple(_period(part) for part in _parts(text)))

    def holds(self, now: datetime) -> str | None:
        """Say that now is within one, and until when; None: it is not. The end is no longer within."""
        ends = [period.end for period in self.periods if period.begin <= now < period.end]
        return f"a blackout until {max(ends).isoformat(sep=' ', timespec='minutes')}" if ends else None


NO_HOURS, NO_BLACKOUTS = BusinessHours(), Blackouts()


def _parts(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split(";") if part.strip()]


def _hours(text: str) -> _Hours:
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ValueError(f"{_HOURS_FORM}: look at {text!r}")
    begin, end = _minute(found["begin"], text), _minute(found["end"], text)
    if begin in (end, _DAY):
        raise ValueError(f"{_HOURS_FORM}: {text!r} is no time at all; a whole day is 00:00-24:00")
    return _Hours(text, _days(found["days"].lower(), text), begin, end, _zone(found["zone"], text))


def _minute(clock: str, text: str) -> int:
    hour, minute = int(clock[:2]), int(clock[3:])
    if minute > 59 or hour * 60 + minute > _DAY:
        raise ValueError(f"{_HOURS_FORM}: {clock} in {text!r} is no time of day")
    return hour * 60 + minute


def _days(days: str, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in days.split(","):
        first, _, last = part.partition("-")
        last = last if "-" in part else first
        if first not in _DAYS or last not in _DAYS:
            raise ValueError(
                f"{_HOURS_FORM}: {part!r} in {text!r} is none of {', '.join(_DAYS)}, nor two with a hyphen"
            )
        begin = _DAYS.index(first)
        found |= {(begin + step) % 7 for step in range((_DAYS.index(last) - begin) % 7 + 1)}
    return frozenset(found)


def _zone(name: str, text: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # it looks for a file: `Europe` is a folder
        raise ValueError(f"{_HOURS_FORM}: {name!r} in {text!r} is no time zone such as Europe/Berlin or UTC") from None


def _period(text: str) -> _Period:
    begin, _, end = text.partition("/")
    try:
        period = _Period(moment(begin), moment(end))
    except ValueError:
        raise ValueError(f"{_BLACKOUT_FORM}: look at {text!r}") from None
    if period.begin >= period.end:
        raise ValueError(f"{_BLACKOUT_FORM}: {text!r} ends before it begins")
    return period
