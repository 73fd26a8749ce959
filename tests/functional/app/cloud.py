"""The local Azure of these tests: the emulator as a process of its own, so fast that Azure's own delays vanish."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from local import environment
from local.azureml.services import Config
from local.azureml.store import Store
from local.azurite import Azurite
from local.ports import Ports
from local.stack import create_infrastructure
from tests.certificates import own_certificates
from tests.functional.azureml_emulator.core.driver import Wire, eventually
from tests.functional.conftest import free_port

REPOSITORY = Path(__file__).resolve().parents[3]
_STUB = f"""#!/bin/sh
exec "{sys.executable}" "{Path(__file__).with_name("stub_ml.py")}" "$@"
"""
SPEED = 1e6


class Cloud:
    """One emulator over one state folder. Stopping and starting it loses nothing."""

    def __init__(self, folder: Path, azurite: Azurite, engine: str = "fast", eventgrid: str | None = None) -> None:
        self.state_dir = folder / "state"
        self.state_dir.mkdir(parents=True)
        stub = folder / "python"
        stub.write_text(_STUB)
        stub.chmod(0o755)
        nobody = free_port()  # neither Event Grid nor a host is there
        blob, queue, table = azurite.ports.blob, azurite.ports.queue, azurite.ports.table
        self._ports = Ports(blob, queue, table, free_port(), free_port(), nobody, nobody)
        self.config = Config(
            port=self._ports.azureml,
            identity_port=self._ports.identity,
            state_dir=self.state_dir,
            cache_dir=folder / "cache",
            storage=azurite.connection_string,
            engine=engine,
            ml_python=stub,
            eventgrid=eventgrid,
            speed=SPEED,
            tls=own_certificates(self.state_dir / "tls"),
        )
        self._log = folder / "emulator.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the emulator and wait until it answers."""
        config = self.config
        options = {
            "--port": config.port,
            "--identity-port": config.identity_port,
            "--state-dir": config.state_dir,
            "--cache-dir": config.cache_dir,
            "--storage": config.storage,
            "--engine": config.engine,
            "--ml-python": config.ml_python,
            "--speed": config.speed,
            "--metrics-lag": config.metrics_lag_s,
        }
        if config.eventgrid:
            options["--eventgrid"] = config.eventgrid
        command = [sys.executable, "-m", "local.azureml", *(str(part) for pair in options.items() for part in pair)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=REPOSITORY, env=environment.base_environment(), stdout=log, stderr=log
            )
        eventually(self._answers)

    def stop(self) -> None:
        """Stop the emulator as Ctrl-C does; jobs and deployments end with it and come back with it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def kill_jobs_and_endpoints(self) -> None:
        """Leave nothing running for the next module's tests."""
        with Wire(self.config) as wire:
            for job in wire("GET", "jobs").json()["value"]:
                wire("POST", f"jobs/{job['name']}/cancel")
            for endpoint in wire("GET", "onlineEndpoints").json()["value"]:
                wire("DELETE", f"onlineEndpoints/{endpoint['name']}")

    def faults(self, **faults: Any) -> None:
        """Let what comes next fail; without arguments all is well again. See local/azureml/faults.py."""
        self._write("faults", faults)

    def stub(self, **wish: Any) -> None:
        """Tell the trainings to come what to do; see stub_ml.py."""
        self._write("stub", wish)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Let no training that begins within the block get on before its end: who submits it sees it under way."""
        mark = self.state_dir / "holding" / uuid.uuid4().hex
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()

    def quota(self, limits: Mapping[str, Any]) -> None:
        """Set the subscription's limits; see local/README.md."""
        self._write("quota", limits)

    def trainings(self, job: str) -> list[str]:
        """Return what a job's process wrote about itself: a start, and an end, for each time it ran."""
        return (self.state_dir / "azureml" / "jobs" / job / "starts.txt").read_text().split()

    def store(self, kind: str, name: str, **changes: Any) -> None:
        """Change what the emulator has recorded, for what cannot be brought about from outside."""
        store = Store(self.state_dir / "azureml" / "state.db")
        try:
            store.update(kind, name, lambda doc: {**doc, **changes})
        finally:
            store.close()

    def remove(self, kind: str, name: str) -> None:
        """Let something be gone as if a person had deleted it where the emulator offers no way to."""
        store = Store(self.state_dir / "azureml" / "state.db")
        try:
            assert store.delete(kind, name), f"there is no {kind} {name}"
        finally:
            store.close()

    def app_environment(self, **chosen: str) -> dict[str, str]:
        """Return the app's environment, as the local Functions host would have it."""
        own = {"EVENT_TOPIC_ENDPOINT": "", "RUN_LEASE": "30s", "SMOKE_TESTS": "2", "EVALUATE": "false"}
        own |= {"MAX_ACTIVE_RUNS": "100", "MAX_LIVE_ENDPOINTS": "100"}  # tests leave runs behind
        return environment.app_environment(self._ports, self.config.tls, {**own, **chosen})

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write all at once: whoever reads it may be at it just now."""
        part = self.state_dir / f"{name}.part"
        part.write_text(json.dumps(content))
        part.replace(self.state_dir / f"{name}.json")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        try:
            url = f"{self.config.base_url}/local/health"
            return requests.get(url, verify=str(self.config.tls.ca_bundle), timeout=2).status_code == 200
        except requests.ConnectionError:
            time.sleep(0.05)
            return False


@contextmanager
def started(folder: Path, azurite: Azurite, engine: str = "fast") -> Iterator[Cloud]:
    """Run an emulator beside Azurite, in which containers and table are made, until the end of the block."""
    create_infrastructure(azurite.connection_string)
    cloud = Cloud(folder, azurite, engine)
    cloud.start()
    try:
        yield cloud
    finally:
        cloud.stop()
