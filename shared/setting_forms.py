"""The forms that settings, options and tags have: text -> value. A ValueError says the expected form.

Of the settings whose default is the empty text, the form decides what empty means.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

_DURATION = re.compile(r"(\d+)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=3660)
"""Ten years: what is longer is a slip, and adding it to a date may leave the calendar."""


class SweepScope(StrEnum):
    """Which endpoints a sweep may touch: those this app made, or others too that opt in."""

    APP = "app"
    WORKSPACE = "workspace"


def duration(text: str) -> timedelta:
    """Read "45s", "15m", "8h", "7d" or a chain such as "1h30m"."""
    compact = text.strip().lower()
    parts = _DURATION.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact.replace(" ", ""):
        raise ValueError("a duration such as 45s, 15m, 8h, 7d or 1h30m")
    try:
        length = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    except (OverflowError, ValueError):  # ValueError: more digits than Python turns into a number
        length = timedelta.max
    if length > _LONGEST:
        raise ValueError(f"a duration of {_LONGEST.days}d at most")
    return length


def span(text: str) -> timedelta:
    """Read a duration longer than nothing."""
    length = duration(text)
    if not length:
        raise ValueError("a duration such as 45s, 15m, 8h, 7d or 1h30m, longer than 0s")
    return length


def moment(text: str) -> datetime:
    """Read a date and time with its zone, such as "2026-12-24T18:00+01:00"; the answer keeps the zone's offset."""
    form = "a date and time with its zone, such as 2026-12-24T18:00+01:00"
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(form) from None
    if value.tzinfo is None:
        raise ValueError(form)
    # Far from the calendar's ends, where adding a duration or changing the zone fails.
    if not 2000 <= value.year < 3000:
        raise ValueError(f"{form}, of the years 2000 to 2999")
    return value


def utc_moment(text: str) -> datetime:
    """Read a date and time with its zone, and return it in UTC."""
    return moment(text).astimezone(UTC)


def optional(form: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make a form in which the empty text is None."""
    return lambda text: form(text) if text else None


def text(text: str) -> str:
    """Take the text as it is."""
    return text


def count(text: str) -> int:
    """Read a whole number, 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("a whole number, 1 or more")
    return int(text)


def flag(text: str) -> bool:
    """Read true or false, in any spelling of capitals."""
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def dollars(text: str) -> float:
    """Read an amount of US dollars."""
    return _number_within(text, 0, 1e9, "an amount of US dollars, such as 25", low_open=False)


def megabytes(text: str) -> int:
    """Read a whole number of megabytes, 0 or more."""
    if not text.isdecimal():
        raise ValueError("a whole number of megabytes, 0 or more")
    return int(text)


def percent(text: str) -> float:
    """Read a number above 0 and up to 100."""
    return _number_within(text, 0, 100, "a number above 0 and up to 100", low_open=True)


def fraction(text: str) -> float:
    """Read a number above 0 and up to 0.5."""
    return _number_within(text, 0, 0.5, "a number above 0 and up to 0.5", low_open=True)


def _number_within(text: str, low: float, high: float, form: str, *, low_open: bool) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(form) from None
    if not low <= value <= high or (low_open and value == low):
        raise ValueError(form)
    return value


def hyperparameters(text: str) -> dict[str, Any]:
    """Read a JSON object of names and plain values."""
    value = _json(text)
    if not isinstance(value, dict) or not all(isinstance(v, str | int | float) for v in value.values()):
        raise ValueError('a JSON object of names and plain values, such as {"num_train_epochs": 2}')
    return value


def prices(text: str) -> dict[str, float]:
    """Read a JSON object of VM sizes and US dollars an hour."""
    value = _json(text)
    if not isinstance(value, dict) or not all(_is_price(price) for price in value.values()):
        raise ValueError(
            'a JSON object of VM sizes and US dollars an hour, above 0, such as {"Standard_NC24ads_A100_v4": 3.67}'
        )
    return {size: float(price) for size, price in value.items()}


def _is_price(value: Any) -> bool:
    # bool is an int to Python; and JSON as Python reads it knows NaN and Infinity.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 < value <= 1e6


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def schedule(text: str) -> str:
    """Take an NCRONTAB expression."""
    if len(text.split()) not in (5, 6):
        raise ValueError("an NCRONTAB expression of six fields (seconds first), such as 0 */15 * * * *")
    return text


def https_url(text: str) -> str:
    """Take an https:// URL, or nothing."""
    if text and not text.startswith("https://"):
        raise ValueError("an https:// URL")
    return text


def sweep_scope(text: str) -> SweepScope:
    """Read which endpoints a sweep may touch."""
    if text not in list(SweepScope):
        raise ValueError(" or ".join(SweepScope))
    return SweepScope(text)
