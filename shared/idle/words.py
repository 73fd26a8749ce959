"""Durations and dates for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def spelt(length: timedelta) -> str:
    """Return a duration in its two largest units, never rounded up.

    >>> spelt(timedelta(hours=8)), spelt(timedelta(hours=8, seconds=-1)), spelt(timedelta(days=2, hours=3))
    ('8 h', '7 h 59 min', '2 d 3 h')
    """
    rest = max(0, int(length.total_seconds()))
    parts: list[tuple[int, str]] = []
    for size, unit in _UNITS:
        number, rest = divmod(rest, size)
        if number or parts:
            parts.append((number, unit))
    return " ".join(f"{number} {unit}" for number, unit in parts[:2] if number) or "0 s"


def shown(moment: datetime) -> str:
    """Return a date and time to the minute.

    >>> shown(datetime(2026, 11, 24, 13, 5, 59, tzinfo=UTC))
    '2026-11-24 13:05 UTC'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
