"""The wall clock of the host's whole process, set forward as if the machine's had been.

The app must not know: what it reads (`datetime.now`, `time.time`) is moved beneath it, SDKs included. `time.monotonic`
is left alone, so that waits, locks and the event loop take as long as ever.
"""

import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from local.clock import Clock

if TYPE_CHECKING:
    from time_machine import Traveller

LOOK_EVERY_S = 0.1


class WallClock:
    """Makes this process follow a clock. As long as that one was never moved, nothing is patched."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moved = timedelta()
        self._traveller: Traveller | None = None

    def follow(self) -> bool:
        """Set this process's wall clock to what the clock shows; returns whether it had to be moved.

        Not for two threads at once. The first move takes some tenths of a second (an import).
        """
        by = self._clock.ahead - self._moved
        if not by:
            return False
        if self._traveller is None:
            self._traveller = _started(by)
        else:
            self._traveller.shift(by)
        self._moved += by
        return True


def _started(by: timedelta) -> "Traveller":
    import time_machine

    # The library is not made for threads that ask for the time just now: none runs until it is ready.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5)
    try:
        # A span, not a date: a date would bring its time zone along.
        traveller = time_machine.travel(by).start()
        time.time()  # it counts from the first time that somebody asks
    finally:
        sys.setswitchinterval(interval)
    return traveller
