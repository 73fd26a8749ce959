"""How much memory all processes of the story take together, at most."""

import os
import threading
from pathlib import Path


class MemoryWatch(threading.Thread):
    """Samples this process and everything below it once a second. Linux only; elsewhere it stays at None."""

    def __init__(self, interval_s: float = 1.0) -> None:
        super().__init__(daemon=True)
        self._interval_s = interval_s
        self._done = threading.Event()
        self.peak_mb: int | None = None

    def run(self) -> None:
        """Sample until `stop`."""
        while not self._done.wait(self._interval_s):
            now = total_mb(os.getpid())
            if now is not None:
                self.peak_mb = max(now, self.peak_mb or 0)

    def stop(self) -> int | None:
        """End the watch and return the peak in MB."""
        self._done.set()
        return self.peak_mb


def total_mb(pid: int) -> int | None:
    """Return the memory of a process and its descendants in MB, shared pages counted once (PSS); None: not Linux."""
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = 0, [pid]
    while todo:
        one = todo.pop()
        found += _pss_kb(one)
        todo += children.get(one, [])
    return found // 1024


def _parent(entry: Path) -> int | None:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
