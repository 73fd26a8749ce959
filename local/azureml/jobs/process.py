"""One job's process: started once, found again after the emulator was killed, followed by the file it writes.

A lock file stands for the process. The child inherits the open file, so the lock is held exactly as long as the child
lives, whatever becomes of the emulator: a process id alone could be somebody else's by then.
"""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[3]
_KILL_AFTER_S = 5.0
_POLL_S = 0.05


class JobProcess:
    """The process of the job in `folder`; see `start` and `find`."""

    def __init__(self, folder: Path, child: "subprocess.Popen[bytes] | None") -> None:
        self._folder = folder
        self._child = child
        self._offset = 0

    @classmethod
    def start(cls, folder: Path, python: Path, module: str = "local.training") -> "JobProcess":
        """Start `python -m module folder` with fresh status and output.

        Raises: BlockingIOError: its process is running already. OSError: it could not be started.
        """
        with (folder / "process.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / "process.json").unlink(missing_ok=True)
            (folder / "status.jsonl").write_text("")
            (folder / "logs").mkdir(exist_ok=True)
            with (folder / "logs" / "process.txt").open("ab") as output:
                child = subprocess.Popen(
                    [python, "-m", module, folder],
                    cwd=_ROOT,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[lock.fileno()],
                    start_new_session=True,
                )
            (folder / "process.json").write_text(json.dumps({"pid": child.pid}))
        return cls(folder, child)

    @classmethod
    def find(cls, folder: Path) -> "JobProcess | None":
        """Answer the process that an earlier emulator started and that is still alive."""
        return cls(folder, None) if _locked(folder) else None

    @classmethod
    def of_old(cls, folder: Path) -> "JobProcess":
        """Answer a process that is over, for what it left behind."""
        return cls(folder, None)

    def alive(self) -> bool:
        return self._child.poll() is None if self._child is not None else _locked(self._folder)

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and for a process that an earlier emulator started: then status.jsonl tells."""
        return self._child.poll() if self._child is not None else None

    def new_reports(self) -> Iterator[dict[str, Any]]:
        """Read the complete lines that were added to status.jsonl since the last call."""
        file = self._folder / "status.jsonl"
        if not file.exists():
            return
        with file.open("rb") as lines:
            lines.seek(self._offset)
            for line in lines:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                report = _parse(line)
                if report is not None:
                    yield report

    def forget_reports(self) -> None:
        """Empty status.jsonl: what a process said whose work is lost counts no more."""
        (self._folder / "status.jsonl").write_text("")

    def terminate(self) -> None:
        """End the process and whatever it started: SIGTERM, and SIGKILL when that was not enough."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + _KILL_AFTER_S
        while self.alive() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if self.alive():
            self._signal(signal.SIGKILL)
            if self._child is not None:
                self._child.wait()

    def last_words(self) -> str:
        """Answer the last line the process printed."""
        log = self._folder / "logs" / "process.txt"
        lines = log.read_text(errors="replace").split("\n") if log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _signal(self, number: int) -> None:
        pid = self._child.pid if self._child is not None else _recorded_pid(self._folder)
        if pid is None or not self.alive():
            return
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return


def _locked(folder: Path) -> bool:
    try:
        with (folder / "process.lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _recorded_pid(folder: Path) -> int | None:
    file = folder / "process.json"
    return json.loads(file.read_text())["pid"] if file.exists() else None


def _parse(line: bytes) -> dict[str, Any] | None:
    """A line that is not JSON is not a report: the job's verdict is its exit code then."""
    try:
        report = json.loads(line)
    except ValueError:
        return None
    return report if isinstance(report, dict) else None
