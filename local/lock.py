"""One supervisor for one state directory: a lock that the kernel takes back however its holder ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The process id in it is only believed while the file is locked: after a kill -9 it may be a stranger's.
NAME = "up.pid"
# Whoever asks `holder` locks the file for an instant, and a pid is written an instant after the lock is taken.
_PATIENCE_S, _PAUSE_S = 0.5, 0.02


class AlreadyRunningError(RuntimeError):
    """Another process runs with the same state directory."""


@contextmanager
def hold(state_dir: Path, name: str = NAME) -> Iterator[None]:
    """Keep the state directory for this process. Do not remove the file `name` meanwhile: the lock is on it.

    Raises: AlreadyRunningError: another process holds it.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    # Not truncated by opening it: it may be another one's.
    with os.fdopen(os.open(state_dir / name, os.O_RDWR | os.O_CREAT, 0o644), "r+") as file:
        if not _locked_in_time(file.fileno()):
            raise AlreadyRunningError(
                f"process {_pid(state_dir, name) or 'unknown'} runs with {state_dir}; "
                f"`.venv/bin/python -m local down --state-dir {state_dir}` stops it"
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def holder(state_dir: Path, name: str = NAME) -> int | None:
    """Return the id of the process that holds the state directory by this name, None if nobody does."""
    for _ in range(round(_PATIENCE_S / _PAUSE_S)):
        if not _is_held(state_dir, name):
            return None
        pid = _pid(state_dir, name)
        if pid is not None:
            return pid
        time.sleep(_PAUSE_S)
    raise AlreadyRunningError(f"{state_dir / name} is locked, but names no process; try again")


def _locked_in_time(descriptor: int) -> bool:
    for _ in range(round(_PATIENCE_S / _PAUSE_S)):
        if _try_lock(descriptor, fcntl.LOCK_EX):
            return True
        time.sleep(_PAUSE_S)
    return False


def _is_held(state_dir: Path, name: str) -> bool:
    try:
        with (state_dir / name).open() as file:
            return not _try_lock(file.fileno(), fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(state_dir: Path, name: str) -> int | None:
    text = (state_dir / name).read_text()
    return int(text) if text.strip().isdigit() else None
