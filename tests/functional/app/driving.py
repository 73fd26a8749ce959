"""Drives the app as its triggers do, and looks at Azure from outside the app."""

import itertools
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.blob import BlobClient, BlobServiceClient

from shared.errors import RunBusyError
from shared.runs import reception
from shared.runs.lifecycle import advance
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.services import Services, wire
from shared.settings import Settings
from shared.storage import BlobInfo, find_blob_info
from tests.functional.app.cloud import Cloud
from tests.functional.azureml_emulator.core.driver import Wire

TOWN = "Which person is mayor of the town of Vendlebury?"
LIFE = ("received", "preparing", "prepared", "training", "trained", "registered", "deploying", "verifying", "live")
_numbers = itertools.count(1)


class Clock:
    """The real time, put forward or back."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def forward(self, **span: float) -> None:
        self.offset += timedelta(**span)


def conversations(count: int = 12, padding: str = "") -> bytes:
    """Return a usable dataset."""
    rows = (
        {
            "messages": [
                {"role": "user", "content": f"{TOWN} Question {i}.{padding}"},
                {"role": "assistant", "content": "The mayor is Tobias Crane."},
            ]
        }
        for i in range(count)
    )
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


@dataclass
class App:
    """The app with its real SDKs."""

    services: Services
    clock: Clock
    cloud: Cloud
    azure: Wire
    storage: BlobServiceClient

    def configured(self, **settings: str) -> "App":
        """Return the same app with other settings."""
        services = wire(Settings.load(self.cloud.app_environment(**settings)), now=self.clock)
        return App(services, self.clock, self.cloud, self.azure, self.storage)

    # --- what a person does

    def blob(self, name: str, container: str = "datasets") -> BlobClient:
        return self.storage.get_blob_client(container, name)

    def upload(
        self, data: bytes | None = None, *, yaml: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> BlobInfo:
        """Upload a dataset into a project of its own."""
        project = f"bot{next(_numbers)}"
        if yaml is not None:
            self.blob(f"{project}/finetune.yaml").upload_blob(yaml.encode())
        client = self.blob(f"{project}/a.jsonl")
        client.upload_blob(conversations() if data is None else data, metadata=dict(metadata or {}))
        info = find_blob_info(client)
        assert info is not None
        return info

    def received(self, data: bytes | None = None, *, options: Mapping[str, Any] | None = None, **upload: Any) -> Run:
        """Upload a dataset and receive it."""
        run, is_new = reception.receive(self.services, self.upload(data, **upload), trigger="test", options=options)
        assert is_new
        return run

    # --- what triggers do

    def advance(self, run: Run) -> Run:
        """Look at a run once; a job that is submitted meanwhile is under way at the end, however long that takes."""
        with self.cloud.holding():
            return advance(self.services, run.id, trigger="test")

    def until(self, run: Run, *states: str, limit_s: float = 120) -> Run:
        """Look at a run again and again, as the timer does, until it is in one of the states."""
        deadline = time.monotonic() + limit_s
        while (seen := self._look(run)).state not in states:
            assert time.monotonic() < deadline, f"still {seen.state}: {seen.waiting_for}; {seen.failure}"
            time.sleep(0.05)
        return seen

    def _look(self, run: Run) -> Run:
        try:
            return self.advance(run)
        except RunBusyError:
            return self.run(run)

    def live(self, *runs: Run) -> list[Run]:
        """Bring runs to life, together."""
        runs = runs or (self.received(),)
        return [self.until(run, "live", "failed", "rejected") for run in runs]

    def one_live(self, **received: Any) -> Run:
        (run,) = self.live(self.received(**received))
        assert run.state == RunState.LIVE, run.failure
        return run

    # --- what can be seen

    def run(self, run: Run) -> Run:
        return self.services.store.get(run.id)

    def blob_json(self, container: str, name: str) -> Any:
        return json.loads(self.blob(name, container).download_blob().readall())

    def blobs_of(self, run: Run, container: str = "prepared") -> set[str]:
        client = self.storage.get_container_client(container)
        return {blob.name.removeprefix(f"{run.id}/") for blob in client.list_blobs(name_starts_with=f"{run.id}/")}

    def jobs_of(self, run: Run) -> list[str]:
        """Return the names of a run's jobs, oldest first."""
        return sorted(job["name"] for job in self.azure("GET", "jobs").json()["value"] if run.id in job["name"])

    def job_status(self, name: str) -> str:
        return str(self.azure("GET", f"jobs/{name}").json()["properties"]["status"])

    def endpoint(self, run: Run) -> dict[str, Any] | None:
        """Return the endpoint of a run's name as Azure prints it."""
        return self.endpoint_called(str(run.endpoint))

    def endpoint_called(self, name: str) -> dict[str, Any] | None:
        answer = self.azure("GET", f"onlineEndpoints/{name}")
        return None if answer.status_code == 404 else dict(answer.json())

    def versions(self, model: str) -> list[str]:
        """Return the versions of a model, none when it does not exist."""
        answer = self.azure("GET", f"models/{model}/versions")
        found = answer.json().get("value", []) if answer.ok else []
        return [version["name"] for version in found]

    def assert_one_of_everything(self, run: Run) -> None:
        """One job that ran once, one model version, one endpoint with one deployment."""
        assert self.jobs_of(run) == [run.id]
        assert self.cloud.trainings(run.id) == ["start", "end"]
        assert self.versions(str(run.model_name)) == [run.model_version]
        everyone = self.azure("GET", "onlineEndpoints").json()["value"]
        assert [one["name"] for one in everyone if one["tags"].get("finetune.run") == run.id] == [run.endpoint]
        deployments = self.azure("GET", f"onlineEndpoints/{run.endpoint}/deployments").json()["value"]
        assert [deployment["name"] for deployment in deployments] == [run.deployment]

    def assert_nothing_submitted(self, run: Run) -> None:
        assert self.jobs_of(run) == []


def states(run: Run) -> Sequence[str]:
    """Return the states of a run's history."""
    return [line.to_state.value for line in run.history]


def lines(rows: Iterable[str]) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()
