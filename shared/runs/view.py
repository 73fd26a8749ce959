"""A run as the HTTP API shows it: its record, its place in line, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from shared.runs import actions, admission
from shared.runs.record import Run, is_in_line
from shared.services import Services

_BOOKKEEPING = frozenset({"seen", "crashes", "ticket", "outbox", "publish_attempts", "publish_at", "events_recorded"})
"""What the app keeps for itself."""


def shown(services: Services, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the runs with `in_line` ({place, of}; null: not in line) and `actions`, what may be asked of them now.

    A place is seen when it is asked for and never recorded: a thousand runs in line would be a thousand rows to write
    whenever one of them begins.
    """
    places = admission.places(services) if any(is_in_line(run) for run in runs) else {}
    return [_shown(run, places.get(run.id)) for run in runs]


def _shown(run: Run, place: tuple[int, int] | None) -> dict[str, Any]:
    record = {name: value for name, value in msgspec.to_builtins(run).items() if name not in _BOOKKEEPING}
    view: dict[str, Any] = {**record, "in_line": None, "actions": actions.allowed(run)}
    if place is not None:
        view["in_line"] = {"place": place[0], "of": place[1]}
        view["waiting_for"] = f"its turn: {ordinal(place[0])} of {place[1]}"
    return view


def ordinal(number: int) -> str:
    """Return a number as people say a place.

    >>> [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112, 1003)]
    ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '112th', '1003rd']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
