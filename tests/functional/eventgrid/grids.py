"""An Event Grid process and a subscriber that notes what it gets."""

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from local.tls import ensure

ROOT = Path(__file__).resolve().parents[3]


def until(condition: Callable[[], Any], timeout_s: float = 60) -> Any:
    """Wait until the condition holds and return its value."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


class Subscriber:
    """A webhook. `statuses` are its next answers to notifications; then it answers 200."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[tuple[dict[str, str], Any]] = []
        self.handshakes = 0
        self.statuses: list[int] = []
        subscriber = self

        class Handler(BaseHTTPRequestHandler):
            def do_OPTIONS(self) -> None:
                subscriber.handshakes += 1
                self.send_response(200)
                self.send_header("WebHook-Allowed-Origin", self.headers["WebHook-Request-Origin"])
                self.end_headers()

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.headers["aeg-event-type"] == "SubscriptionValidation":
                    subscriber.handshakes += 1
                    self._answer(200, {"validationResponse": body[0]["data"]["validationCode"]})
                    return
                subscriber.received.append((dict(self.headers), body))
                self._answer(subscriber.statuses.pop(0) if subscriber.statuses else 200, {})

            def _answer(self, status: int, document: Any) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def events(self) -> list[Any]:
        return [body[0] if isinstance(body, list) else body for _, body in self.received]


class Grid:
    """One state directory and the process that serves it now."""

    def __init__(self, folder: Path, storage: str) -> None:
        self.state_dir = folder / "state"
        self.state_dir.mkdir()
        self.tls = ensure(self.state_dir / "tls")
        self._storage = storage
        self._config = folder / "config.json"
        self._log = folder / "eventgrid.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def configure(self, *subscriptions: dict[str, Any], watch: tuple[str, ...] = (), retry: Any = None) -> None:
        document = {"watch": watch, "subscriptions": subscriptions, "retrySchedule": retry}
        self._config.write_text(json.dumps(document))

    def start(self, port: int = 0) -> None:
        self._log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "local.eventgrid", "--port", str(port), "--state-dir", str(self.state_dir)]
        command += ["--storage", self._storage, "--config", str(self._config)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=os.environ)
        until(lambda: "listens on" in self.log() or self.process.poll() is not None)
        self.url = self.log().split("listens on ")[1].split()[0]

    def log(self) -> str:
        return self._log.read_text()

    def health(self) -> Any:
        return httpx.get(f"{self.url}/local/health", verify=_context(self.tls.ca_bundle), timeout=60).json()

    def pending(self) -> int:
        """Return how many deliveries are still to be made, to all subscribers together."""
        return sum(one["pending"] for one in self.health()["subscriptions"])

    def publish(self, topic: str, events: Any, **headers: str) -> httpx.Response:
        url = f"{self.url}/topics/{topic}/api/events"
        return httpx.post(url, json=events, headers=headers, verify=_context(self.tls.ca_bundle), timeout=60)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def accepted(self) -> list[Any]:
        path = self.state_dir / "eventgrid" / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _context(ca_bundle: Path) -> Any:
    return ssl.create_default_context(cafile=str(ca_bundle))
