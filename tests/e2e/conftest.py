"""`python -m local up` as a process of its own, with the fast engine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"RUN_LEASE": "4s", "ADVANCE_SCHEDULE": "*/1 * * * * *", "SWEEP_SCHEDULE": "0 0 0 1 1 *"}
# A developer's own shell: logged in to Azure, another cloud, behind a proxy.
SHELL = {
    "AZURE_CLIENT_ID": "00000000-0000-0000-0000-000000000001",
    "AZURE_CLIENT_SECRET": "secret",
    "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000002",
    "AZURE_TOKEN_CREDENTIALS": "dev",
    "AZUREML_CURRENT_CLOUD": "AzureChinaCloud",
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9"),
    "no_proxy": "intranet.example",
}


class Local:
    """The local Azure in a state directory; it can be started again in the same one."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._session = requests.Session()
        self._session.trust_env = False

    def start(self, **settings: str) -> None:
        self.launch(**settings)
        assert self._process.stdout is not None
        self.up: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.env: dict[str, str] = self.up["env"]
        self._session.headers["x-functions-key"] = self.env["FUNCTIONS_KEY"]

    def launch(self, **settings: str) -> None:
        """Start without waiting for the line that says it is ready."""
        self._errors = (self.state_dir.parent / "up.err").open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local", "up", "--engine", "fast", "--auth", "--state-dir", str(self.state_dir)],
            cwd=ROOT,
            env={**os.environ, **SHELL, **SETTINGS, **settings},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stop as a person does, with Ctrl-C; returns the exit code."""
        self._process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Wait for the end, whoever brought it about; returns the exit code."""
        code = self._process.wait(180)
        assert self._process.stdout is not None
        if not self._process.stdout.closed:
            self.said_last = self._process.stdout.read()
            self._process.stdout.close()
        self._errors.close()
        return code

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command such as `status` on the same state directory."""
        command = [sys.executable, "-m", "local", *words, "--state-dir", str(self.state_dir)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    def kill_host(self) -> None:
        """kill -9 the Functions host, whichever process it is now; `up` starts it again."""
        pid = self.host_pid()
        os.kill(pid, signal.SIGKILL)
        self.wait(lambda: self.host_pid() not in (0, pid), 240)
        self.wait(self._host_answers, 240)

    def host_pid(self) -> int:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_bytes().decode().split("\0")
                except OSError:
                    continue
                if (
                    "local.functions_host" in command
                    and str(self.state_dir) in command
                    and "lifeline" not in command[1]
                ):
                    return int(entry.name)
        return 0

    def get(self, path: str, **query: str) -> Any:
        response = self._session.get(f"{self.up['urls']['api']}/{path}", params=query, timeout=60)
        assert response.ok, response.text
        return response.json()

    def post(self, path: str, body: Any = None) -> requests.Response:
        return self._session.post(f"{self.up['urls']['api']}/{path}", json=body, timeout=120)

    def delete(self, path: str) -> requests.Response:
        return self._session.delete(f"{self.up['urls']['api']}/{path}", timeout=120)

    def only_run(self) -> dict[str, Any]:
        runs = self.get("runs")["value"]
        assert len(runs) == 1, runs
        return dict(runs[0])

    def wait(self, until: Callable[[], Any], timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s
        while not (found := until()):
            assert time.monotonic() < deadline, f"waited {timeout_s} s in vain"
            time.sleep(0.1)
        return found

    def wait_for_state(self, *states: str, timeout_s: float = 240) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            runs = self.get("runs")["value"]
            return runs[0] if runs and runs[0]["state"] in states else None

        return dict(self.wait(reached, timeout_s))

    def _host_answers(self) -> bool:
        try:
            return self._session.get(f"{self.up['urls']['functions']}/admin/host/ping", timeout=2).ok
        except requests.RequestException:
            return False


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    running = Local(tmp_path / "state")
    running.start()
    yield running
    if running._process.poll() is None:
        running.stop()
    running.ended()
