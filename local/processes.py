"""Child processes of the local Azure: started, watched until they answer, stopped in order."""

import logging
import os
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from local.lifeline import tied

_STOP_S = 15
_QUICK_S, _MOST_QUICK_ENDS = 10, 3
_LOG_BYTES = 20_000_000


class ServiceError(RuntimeError):
    """A local service ended, or did not answer in time; the text holds the end of its log."""


class Log:
    """A log file that is renamed to NAME.1 when it has grown to `limit_bytes`; the NAME.1 before it goes."""

    def __init__(self, path: Path, limit_bytes: int = _LOG_BYTES) -> None:
        self.path = path
        # Never as part of `logging`: only its rotation is used, and its lock, as after a restart two threads write.
        self._file = RotatingFileHandler(path, maxBytes=limit_bytes, backupCount=1, encoding="utf-8", delay=True)
        self._file.terminator = ""

    def write(self, text: str) -> None:
        """Write and flush; opens the file when it is not open."""
        self._file.handle(logging.makeLogRecord({"msg": text}))

    def close(self) -> None:
        """Close the file until something is written again."""
        self._file.close()

    def tail(self, lines: int = 15) -> str:
        """Return the end of the file, indented."""
        text = self.path.read_text("utf-8", errors="replace") if self.path.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])


class Service:
    """One child process with a log of its own and an address that answers when it is ready."""

    def __init__(
        self,
        name: str,
        command: list[str],
        *,
        health: str,
        env: Mapping[str, str],
        log: Path,
        echo: IO[str] | None = None,
    ) -> None:
        self.name, self._log = name, Log(log)
        self._command, self._health, self._env, self._echo = command, health, dict(env), echo
        self._process: subprocess.Popen[str] | None = None
        self._started, self._quick_ends = 0.0, 0

    @property
    def pid(self) -> int | None:
        """The process's id, None before the start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; it ends when this one does, however this one ends."""
        self._log.path.parent.mkdir(parents=True, exist_ok=True)
        self._started = time.monotonic()
        # A group of its own: Ctrl-C reaches the supervisor only, which then stops its children in order.
        self._process = subprocess.Popen(
            tied(*self._command),
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._copy_output, args=(self._process.stdout,), daemon=True).start()

    def start_again(self, *, was_asked_for: bool = False) -> None:
        """Start the process anew after it ended.

        Args: was_asked_for: somebody ended it on purpose; that says nothing about the process.
        Raises: ServiceError: it keeps ending soon after its start.
        """
        if not was_asked_for:
            self._quick_ends = self._quick_ends + 1 if time.monotonic() - self._started < _QUICK_S else 0
        if self._quick_ends >= _MOST_QUICK_ENDS:
            raise ServiceError(f"{self.name} keeps ending; its log is {self._log.path}:\n{self._log.tail()}")
        self.start()

    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def wait_ready(self, ca_bundle: Path, timeout_s: float = 60) -> None:
        """Wait until the service answers. Raises: ServiceError."""
        context = ssl.create_default_context(cafile=str(ca_bundle))
        deadline = time.monotonic() + timeout_s
        while not _answers(self._health, context):
            if not self.is_running():
                raise ServiceError(f"{self.name} ended while starting:\n{self._log.tail()}")
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{self.name} did not answer within {timeout_s:.0f} s at {self._health}:\n{self._log.tail()}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Ask the process to end; insist if it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def kill(self) -> None:
        """End the process as a crash would: kill -9, nothing is tidied up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _copy_output(self, output: IO[str]) -> None:
        with output, closing(self._log):
            for line in output:
                self._log.write(line)
                self._say(line)

    def _say(self, line: str) -> None:
        if self._echo is not None:
            try:
                self._echo.write(line)
                self._echo.flush()
            except (OSError, ValueError):  # the terminal was closed; the process must not block on a full pipe
                self._echo = None


def _answers(url: str, context: ssl.SSLContext) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
