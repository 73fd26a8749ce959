"""A host as a process over a small app, and what tests ask of it."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from local.functions_host.keys import load

ROOT = Path(__file__).resolve().parents[3]
HOST_JSON = {
    "version": "2.0",
    "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"},
}


def until(condition: Callable[[], object], timeout_s: float = 60) -> object:
    """Wait until the condition holds and return its value."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


class Host:
    """One app and the host process that runs it now; the state outlives the process."""

    def __init__(self, folder: Path, storage: str) -> None:
        self.app_root, self.state_dir, self.out = folder / "app", folder / "state", folder / "out"
        for path in (self.app_root, self.state_dir, self.out):
            path.mkdir(parents=True)
        self.settings = {
            "AzureWebJobsStorage": storage,
            "DATASET_STORAGE": storage,
            "OUT": str(self.out),
            "AzureFunctionsWebHost__hostid": f"test{abs(hash(str(folder))) % 10**12}",
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def write(self, source: str, host_json: dict[str, object] | None = None) -> None:
        (self.app_root / "function_app.py").write_text(textwrap.dedent(source))
        (self.app_root / "host.json").write_text(json.dumps(HOST_JSON | (host_json or {})))

    def start(self, *more: str, wait: bool = True) -> None:
        command = [sys.executable, "-m", "local.functions_host", "--port", "0", *more]
        command += ["--app-root", str(self.app_root), "--state-dir", str(self.state_dir)]
        (self.out / "host.log").unlink(missing_ok=True)
        with (self.out / "host.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | self.settings, stdout=log, stderr=subprocess.STDOUT
            )
        if wait:
            until(lambda: "listens on" in self.log() or self.process.poll() is not None)
            self.url = self.log().split("listens on ")[1].split()[0]

    def log(self) -> str:
        return (self.out / "host.log").read_text()

    def lines(self, name: str) -> list[str]:
        """Return what the app's functions noted under a name."""
        path = self.out / name
        return path.read_text().splitlines() if path.exists() else []

    def webhook(self, extension: str, function: str) -> str:
        keys = load(self.state_dir)
        key = {"EventGrid": "eventgrid_extension", "blobs": "blobs_extension"}[extension]
        return f"{self.url}/runtime/webhooks/{extension}?functionName={function}&code={keys.system[key]}"

    def notify_blob(self, function: str, url: str) -> int:
        event = {"id": "1", "eventType": "Microsoft.Storage.BlobCreated", "data": {"url": url, "eTag": "0x1"}}
        return httpx.post(
            self.webhook("blobs", f"Host.Functions.{function}"),
            json=[event],
            headers={"aeg-event-type": "Notification"},
            timeout=60,
        ).status_code

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)
