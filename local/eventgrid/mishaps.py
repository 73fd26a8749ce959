"""What goes wrong with events on request: see `local.faults.rules`, kinds `events` and `clock_skew_s`."""

import random
from datetime import datetime, timedelta
from pathlib import Path

from local.eventgrid.events import Event
from local.faults.book import book_of
from local.faults.rules import ClockSkew, EventFault


class Mishaps:
    """The faults of one state directory, as Event Grid makes them."""

    def __init__(self, state_dir: Path) -> None:
        self._book = book_of(state_dir)

    def comings(self, event: Event) -> list[float]:
        """Return after how many seconds an event comes: once and at once, unless something else is asked for."""
        fault = self._book.find(EventFault, lambda rule: rule.concerns(event))
        if fault is None:
            return [0.0]
        if fault.do == "lose":
            return []
        if fault.do == "double":
            return [0.0, 0.0]
        return [fault.delay_s if fault.do == "delay" else self._any_delay(fault, event)]

    def timed(self, event: Event) -> Event:
        """Return the event with the time that a clock which goes wrong would have given it."""
        skew = self._book.find(ClockSkew) if "eventTime" in event else None
        return event if skew is None else event | {"eventTime": _moved(event["eventTime"], skew.by_s)}

    @staticmethod
    def _any_delay(fault: EventFault, event: Event) -> float:
        dice = random.Random() if fault.seed is None else random.Random(f"{fault.seed}:{event.get('id')}")
        return dice.uniform(0, fault.delay_s)


def _moved(text: str, by_s: float) -> str:
    """Move a time such as 2026-01-02T03:04:05.1234567Z: whole seconds, the fraction stays as it is printed."""
    whole, fraction = text[:19], text[19:]
    return (datetime.fromisoformat(whole) + timedelta(seconds=round(by_s))).isoformat() + fraction
