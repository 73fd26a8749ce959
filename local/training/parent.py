"""End with the process that started us: a job or a server without the emulator is of use to nobody."""

import os
import threading
import time
from collections.abc import Callable

_LOOK_EVERY_S = 0.5


def end_with_parent(end: Callable[[], None]) -> None:
    """Call `end` when the parent process is gone.

    Watches the parent's id: Linux's own signal for this (PR_SET_PDEATHSIG) fires when the starting *thread* ends.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        end()

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
