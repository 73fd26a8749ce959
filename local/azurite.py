"""Start and stop Microsoft's Azurite (blob, queue and table storage) as a child process."""

import http.client
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from local.lifeline import tied

ACCOUNT = "devstoreaccount1"
# The key that Azurite documents for its fixed account: public, and worth nothing.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
COMMAND = Path(__file__).resolve().parent.parent / "node_modules" / ".bin" / "azurite"
# node closes an idle connection after five seconds by itself; clients that reuse it then meet a reset.
_KEEP_ALIVE_S = "120"


class AzuriteError(RuntimeError):
    """Azurite is not installed, or ended, or did not answer in time."""


def connection_string(blob_port: int, queue_port: int, table_port: int) -> str:
    """Return the connection string of the local account, with all three endpoints spelt out."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint=http://127.0.0.1:{blob_port}/{ACCOUNT};"
        f"QueueEndpoint=http://127.0.0.1:{queue_port}/{ACCOUNT};"
        f"TableEndpoint=http://127.0.0.1:{table_port}/{ACCOUNT};"
    )


@dataclass(frozen=True)
class Ports:
    blob: int
    queue: int
    table: int


class Azurite:
    """One Azurite over one folder. Use it as a context manager, or call `start` and `stop`."""

    def __init__(self, location: Path, ports: Ports, command: Path = COMMAND) -> None:
        self.location = location
        self.ports = ports
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def connection_string(self) -> str:
        return connection_string(self.ports.blob, self.ports.queue, self.ports.table)

    @property
    def log(self) -> Path:
        return self.location / "azurite.log"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_s: float = 60) -> None:
        """Start Azurite and wait until all three services answer.

        Raises: AzuriteError: it is not installed, it ended, or it did not answer within `timeout_s`.
        """
        if not self._command.exists():
            raise AzuriteError(f"Azurite is not installed: {self._command} does not exist. Run `npm ci` first.")
        self.location.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in the terminal must not end storage before its users have ended.
            self._process = subprocess.Popen(
                tied(str(self._command), *self._arguments()), stdout=log, stderr=log, start_new_session=True
            )
        self._wait(time.monotonic() + timeout_s)

    def stop(self, timeout_s: float = 10) -> None:
        """Stop Azurite with SIGTERM (it writes its tables to disk then); kill it if it does not end in time."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> "Azurite":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _arguments(self) -> list[str]:
        arguments = ["--location", str(self.location), "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        for service, port in (("blob", self.ports.blob), ("queue", self.ports.queue), ("table", self.ports.table)):
            arguments += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
            arguments += [f"--{service}KeepAliveTimeout", _KEEP_ALIVE_S]
        return arguments

    def _wait(self, deadline: float) -> None:
        waiting = {self.ports.blob, self.ports.queue, self.ports.table}
        while waiting:
            if not self.is_running():
                raise AzuriteError(f"Azurite ended while starting: {self._last_line()}")
            if time.monotonic() > deadline:
                self.stop()
                raise AzuriteError(f"Azurite did not answer on ports {sorted(waiting)} in time: {self._last_line()}")
            waiting = {port for port in waiting if not _answers(port)}
            time.sleep(0.05)

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return f"{lines[-1] if lines else 'it said nothing'} (log: {self.log})"


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
