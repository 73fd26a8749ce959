"""Charts as inline SVG. Sizes are attributes, never styles: the page's policy allows its own style sheet alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import gcd

from shared.dataset.page.markup import Markup, tag
from shared.dataset.page.words import count, number, percent
from shared.dataset.report import Bucket, Histogram

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 360, 170, 18, 24
_LABELS = 6
_BAR_WIDTH, _BAR_HEIGHT, _SLIVER = 1000, 36, 4


class Part:
    """One part of a whole: its name, its size, and the class that colours it."""

    def __init__(self, name: str, rows: int, colour: str) -> None:
        self.name, self.rows, self.colour = name, rows, colour


def parts_bar(parts: Sequence[Part], title: str) -> Markup:
    """A bar divided like its parts; what is there can be seen, however small its share."""
    shown = [part for part in parts if part.rows > 0]
    whole = sum(part.rows for part in shown)
    if not whole:
        return Markup("")
    free = _BAR_WIDTH - _SLIVER * len(shown)
    bars, x = [], 0.0
    for part in shown:
        width = _SLIVER + free * part.rows / whole
        bars.append(_rect(x, 0, max(1.0, width - 2), _BAR_HEIGHT, part.colour))
        x += width
    told = "; ".join(f"{part.name}: {part.rows:,} ({percent(part.rows, whole)})" for part in shown)
    return tag(
        "svg",
        tag("title", title),
        tag("desc", told),
        bars,
        class_="parts",
        role="img",
        viewBox=f"0 0 {_BAR_WIDTH} {_BAR_HEIGHT}",
        preserveAspectRatio="none",
    )


def _rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    return tag("rect", x=f"{x:.2f}", y=f"{y:.2f}", width=f"{width:.2f}", height=f"{height:.2f}", class_=class_)


def histogram(found: Histogram, title: str, unit: str) -> Markup:
    """A figure: bars, what they say in words, and the numbers in a table to open."""
    if not found.count:
        return Markup("")
    buckets = _without_gaps(found.buckets)
    summary = (
        f"{number(found.minimum)} to {number(found.maximum)} {unit} a conversation, {number(found.mean)} on average; "
        f"{number(found.total)} in all"
    )
    return tag(
        "figure",
        tag("figcaption", tag("b", title), " ", tag("span", summary, class_="quiet")),
        _bars(buckets, title, f"{summary}. {_told(found.buckets)}."),
        tag("details", tag("summary", "As a table"), _table(found, unit)),
        class_="card",
    )


def _told(buckets: Sequence[Bucket]) -> str:
    return "; ".join(f"{_label(bucket)}: {count(bucket.count, 'conversation')}" for bucket in buckets)


def _bars(buckets: Sequence[Bucket], title: str, description: str) -> Markup:
    step = _WIDTH / len(buckets)
    highest = max(bucket.count for bucket in buckets)
    room = _HEIGHT - _TOP - _BOTTOM
    every = -(-len(buckets) // _LABELS)
    bars: list[Markup] = []
    for place, bucket in enumerate(buckets):
        height = room * bucket.count / highest
        if bucket.count:
            height = max(1.5, height)
            bars.append(_rect(place * step + step * 0.08, _HEIGHT - _BOTTOM - height, step * 0.84, height, "bar"))
        if place % every == 0:
            bars.append(_text((place + 0.5) * step, _HEIGHT - 8, _short(bucket.lower), "tick"))
        if bucket.count == highest and not any("peak" in bar for bar in bars):
            bars.append(_text((place + 0.5) * step, _HEIGHT - _BOTTOM - height - 5, f"{highest:,}", "peak"))
    base = tag("line", x1=0, x2=_WIDTH, y1=_HEIGHT - _BOTTOM, y2=_HEIGHT - _BOTTOM, class_="axis")
    return tag(
        "svg",
        tag("title", title),
        tag("desc", description),
        bars,
        base,
        class_="histogram",
        role="img",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
    )


def _text(x: float, y: float, words: str, class_: str) -> Markup:
    half = 4 * len(words)
    x = min(max(x, half), _WIDTH - half)
    return tag("text", words, x=f"{x:.1f}", y=f"{y:.1f}", class_=class_, text_anchor="middle")


def _short(value: int) -> str:
    """1024 -> "1k", as powers of two are called."""
    for unit, factor in (("M", 1 << 20), ("k", 1 << 10)):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return str(value)


def _label(bucket: Bucket) -> str:
    return number(bucket.lower) if _is_exact(bucket) else f"{bucket.lower:,} – {bucket.upper:,}"


def _table(found: Histogram, unit: str) -> Markup:
    rows = [
        tag(
            "tr",
            tag("th", _label(bucket), scope="row"),
            tag("td", number(bucket.count)),
            tag("td", percent(bucket.count, found.count)),
        )
        for bucket in found.buckets
    ]
    head = tag("tr", tag("th", unit.capitalize(), scope="col"), tag("th", "Conversations", scope="col"), tag("th", ""))
    return tag("table", tag("thead", head), tag("tbody", rows), class_="numbers")


def _without_gaps(buckets: Sequence[Bucket]) -> list[Bucket]:
    """The buckets with those between them that hold nothing, or else the axis would lie."""
    exact = [bucket.lower for bucket in buckets if _is_exact(bucket)]
    step = gcd(*(b - a for a, b in pairwise(exact))) if len(exact) > 1 else 1
    full = list(buckets[:1])
    for bucket in buckets[1:]:
        while _is_exact(full[-1]) == _is_exact(bucket) and (gap := _after(full[-1], step)).upper < bucket.lower:
            full.append(gap)
        full.append(bucket)
    return full


def _is_exact(bucket: Bucket) -> bool:
    return bucket.lower == bucket.upper


def _after(bucket: Bucket, step: int) -> Bucket:
    """The bucket that would come next: as much further where values are exact, else twice as wide."""
    if _is_exact(bucket):
        return Bucket(bucket.lower + step, bucket.lower + step, 0)
    return Bucket(bucket.upper + 1, 2 * bucket.upper + 1, 0)
