"""The clock of the local Azure: the machine's, moved forward by what STATE/clock.json says.

Every process of one state directory reads that file, so all of them show one time. Azurite alone keeps the machine's.
"""

import fcntl
import json
import logging
import os
import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from local.files import write_atomically

_LOG = logging.getLogger(__name__)
FARTHEST = timedelta(days=3650)
_MOST_MOVES = 1000  # older ones are only forgotten, never undone


_DURATION = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")


class ClockError(ValueError):
    """The clock cannot be moved so."""


@dataclass(frozen=True)
class Move:
    """At `at` (the machine's time, seconds since 1970) the clock was put `ahead_s` ahead of the machine's."""

    at: float
    ahead_s: float


class Clock:
    """The clock of one state directory. Safe to share between threads; asking it costs one look at the file's date.

    Args: machine: the machine's own time, in seconds since 1970.
    """

    def __init__(self, state_dir: Path, machine: Callable[[], float] = time.time) -> None:
        self._file, self._machine = state_dir / "clock.json", machine
        self._stamp: tuple[int, int] | None = None
        self._moves: tuple[Move, ...] = ()

    @property
    def ahead(self) -> timedelta:
        """How far the clock is ahead of the machine's. It never becomes less."""
        moves = self._read()
        return timedelta(seconds=moves[-1].ahead_s) if moves else timedelta()

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:
        """Return the time in seconds since 1970, as `time.time` does."""
        return self._machine() + self.ahead.total_seconds()

    def at(self, moment: float) -> float:
        """Return what this clock showed when the machine's showed `moment` (both in seconds since 1970)."""
        moves = self._read()
        number = bisect_right([move.at for move in moves], moment)
        return moment + (moves[number - 1].ahead_s if number else 0)

    def _read(self) -> tuple[Move, ...]:
        try:
            found = os.stat(self._file)  # noqa: PTH116 - this is asked all the time
        except FileNotFoundError:
            return self._moves  # taken away while we run: time does not run back
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            try:
                moves = _moves(self._file)
            except ClockError as fault:
                _LOG.warning("%s; the clock stays as it is", fault)
                moves = ()
            if moves and (not self._moves or moves[-1].ahead_s >= self._moves[-1].ahead_s):
                self._moves = moves
            self._stamp = stamp
        return self._moves


@cache
def clock_of(state_dir: Path) -> Clock:
    """Return the one clock that this process has of a state directory."""
    return Clock(state_dir)


def advance(state_dir: Path, by: timedelta, machine: Callable[[], float] = time.time) -> datetime:
    """Move the clock of a state directory forward and return the new time, in UTC.

    Raises: ClockError: not forward, too far, or the file is not one that this function wrote.
    """
    if by <= timedelta():
        raise ClockError("the clock moves forward only: give a duration such as 9h")
    state_dir.mkdir(parents=True, exist_ok=True)
    with _locked(state_dir):
        file = state_dir / "clock.json"
        moves = _moves(file) if file.exists() else ()
        ahead_s = (moves[-1].ahead_s if moves else 0) + by.total_seconds()
        if ahead_s > FARTHEST.total_seconds():
            raise ClockError(f"the clock can be ahead of this machine's by {FARTHEST.days} days at most")
        at = machine()
        kept = [*moves, Move(at, ahead_s)][-_MOST_MOVES:]
        written = [{"at": move.at, "ahead_s": move.ahead_s} for move in kept]
        write_atomically(file, json.dumps({"moves": written}, indent=1))
        return datetime.fromtimestamp(at + ahead_s, UTC)


def _moves(file: Path) -> tuple[Move, ...]:
    try:
        found = json.loads(file.read_text())["moves"]
        return tuple(Move(float(move["at"]), float(move["ahead_s"])) for move in found)
    except (ValueError, KeyError, TypeError) as fault:
        raise ClockError(
            f'{file} is not as `clock advance` writes it ({{"moves": [{{"at": SECONDS, "ahead_s": SECONDS}}]}})'
        ) from fault


def duration(text: str) -> timedelta:
    """Read a duration as the app's settings have them: 45s, 15m, 9h, 7d, 1h30m. Raises: ClockError: it is none."""
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None or not any(match.groups()):
        raise ClockError(f"{text!r} is not a duration such as 45s, 15m, 9h, 7d or 1h30m")
    days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


@contextmanager
def _locked(state_dir: Path) -> Iterator[None]:
    with (state_dir / "clock.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
