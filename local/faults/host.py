"""Which process the Functions host is, and its end by kill -9.

The host keeps STATE/functions_host.pid locked for as long as it lives, so the id in it is never a stranger's.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

from local import lock
from local.faults.book import book_of

NAME = "functions_host.pid"


def kill(state_dir: Path) -> int | None:
    """End the host as a crash would. Returns: its process id; None when no host runs with this state directory."""
    pid = lock.holder(state_dir, NAME)
    if pid is None:
        return None
    # Noted first: whoever starts the host again may look at once.
    book_of(state_dir).note_kill(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid
