"""Two runs of one project, rolled out one after the other on the endpoint that they share."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import requests

from shared.azureml import endpoints
from shared.runs import reception
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.storage import find_blob_info
from tests.functional.app.driving import TOWN, App, conversations

BLUE_GREEN: Mapping[str, Any] = {"strategy": "blue_green", "bake_minutes": 0, "smoke_tests": 2}
_projects = itertools.count(1)
_versions = itertools.count(1)


def new_project() -> str:
    return f"shared{next(_projects)}"


def received(app: App, project: str, **deploy: Any) -> Run:
    """Upload a new dataset of a project and receive it."""
    client = app.blob(f"{project}/v{next(_versions)}.jsonl")
    client.upload_blob(conversations())
    info = find_blob_info(client)
    assert info is not None
    options = {"deploy": {**BLUE_GREEN, **deploy}}
    run, is_new = reception.receive(app.services, info, trigger="test", options=options)
    assert is_new
    return run


def trained(
    app: App, project: str, answer: str = "The mayor is Tobias Crane.", *, files: Any = None, **deploy: Any
) -> Run:
    """Train a run whose model answers this; it is about to be deployed, or waits for its turn."""
    app.cloud.stub(files={"answer.txt": answer, **(files or {})})
    return app.until(received(app, project, **deploy), "registered", "deploying", "verifying", "live", "failed")


def one_live(app: App, project: str, **trained_as: Any) -> Run:
    run = app.until(trained(app, project, **trained_as), "live", "failed")
    assert run.state == RunState.LIVE, run.failure
    return run


def deployments(app: App, endpoint: str | None) -> dict[str, str]:
    """Return the deployments of an endpoint, and the run of each."""
    found = app.azure("GET", f"onlineEndpoints/{endpoint}/deployments").json().get("value", [])
    return {one["name"]: one["tags"].get("finetune.run") for one in found}


def traffic(app: App, endpoint: str | None) -> dict[str, int]:
    seen = app.endpoint_called(str(endpoint))
    return {} if seen is None else {name: share for name, share in seen["properties"]["traffic"].items() if share}


def tag(app: App, endpoint: str | None) -> str | None:
    seen = app.endpoint_called(str(endpoint))
    return None if seen is None else seen["tags"].get("finetune.run")


class Clients:
    """Steady clients of an endpoint: each asks again as soon as it is answered."""

    def __init__(self, app: App, run: Run, count: int = 1, parameters: Mapping[str, Any] | None = None) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._uri = str(run.scoring_uri)
        self._key = endpoints.credential_of(app.services.azureml, str(run.endpoint))
        self._ca = str(app.cloud.config.tls.ca_bundle)
        self._body = {
            "input_data": {
                "input_string": [{"role": "user", "content": TOWN}],
                "parameters": {"max_new_tokens": 20, **(parameters or {})},
            }
        }
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def asked(self) -> int:
        return sum(self.answers.values()) + len(self.failures)

    def until(self, asked: int, limit_s: float = 600) -> None:
        """Wait until so many requests were sent."""
        deadline = time.monotonic() + limit_s
        while self.asked < asked:
            assert time.monotonic() < deadline, f"only {self.asked} requests"
            time.sleep(0.02)

    def _ask(self) -> None:
        with requests.Session() as session:
            session.verify, session.trust_env = self._ca, False
            session.headers["Authorization"] = f"Bearer {self._key}"
            while not self._stop.is_set():
                try:
                    answer = session.post(self._uri, json=self._body, timeout=30)
                    said = f"{answer.status_code}: {answer.text[:80]}" if not answer.ok else None
                except requests.RequestException as fault:
                    said = repr(fault)
                with self._lock:
                    if said is None:
                        self.answers[answer.json()["output"]] += 1
                    else:
                        self.failures.append(said)
