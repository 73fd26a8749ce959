"""Numbers as people read them."""

from __future__ import annotations

from shared.dataset.page.estimate import Range

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def number(value: float) -> str:
    """A count with separators; a fraction with two digits at most."""
    if isinstance(value, int) or value == int(value) or value >= 1000:
        return f"{round(value):,}"
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def count(value: int, noun: str, plural: str = "") -> str:
    """A number of things.

    >>> count(1, "row"), count(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def size(count_of_bytes: int) -> str:
    """A number of bytes, in the unit that suits it.

    >>> size(999), size(123_456)
    ('999 bytes', '123.5 kB')
    """
    value, unit = float(count_of_bytes), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{count_of_bytes:,} bytes" if unit == 0 else f"{value:,.1f} {_UNITS[unit]}"


def percent(part: int, whole: int) -> str:
    """A share, without claiming that a little is nothing or that nearly all is all."""
    if not whole or not part:
        return "0 %"
    share = 100 * part / whole
    if share < 0.1:
        return "< 0.1 %"
    if part != whole and share > 99.9:
        return "> 99.9 %"
    return f"{share:.1f}".removesuffix(".0") + " %"


def span(value: Range, unit: str = "") -> str:
    """A range in words: "0.4 to 1.2 hours"; digits as a rough figure deserves them."""
    low, high = _rough(value.low), _rough(value.high)
    return (low if low == high else f"{low} to {high}") + (f" {unit}" if unit else "")


def _rough(value: float) -> str:
    if value < 10:
        return f"{value:.2f}" if value < 1 else f"{value:.1f}"
    return f"{value:,.0f}"
