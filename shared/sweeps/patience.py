"""Asking again what Azure throttled: a sweep makes many calls at once, and a minute of waiting loses it nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from shared.errors import TransientError

FOR = timedelta(minutes=2)
_FIRST_S, _LONGEST_S = 1.0, 15.0
T = TypeVar("T")


def patiently(ask: Callable[[], T], patience: timedelta = FOR) -> T:
    """Call until Azure does not throttle it any more, with growing pauses; other trouble is not waited for.

    Raises: TransientError: throttled for longer than the patience; whatever else the call raises.
    """
    give_up_at = time.monotonic() + patience.total_seconds()
    pause_s = _FIRST_S
    while True:
        try:
            return ask()
        except TransientError as trouble:
            wait_s = max(pause_s, trouble.retry_after.total_seconds() if trouble.retry_after else 0)
            if not trouble.throttled or time.monotonic() + wait_s >= give_up_at:
                raise
        # So that those who were throttled together do not come back together.
        time.sleep(wait_s * random.uniform(1, 1.2))
        pause_s = min(2 * pause_s, _LONGEST_S)
