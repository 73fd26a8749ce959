"""The workspace's events to Event Grid, sent from an outbox: what could not be delivered now is delivered later."""

import threading
import uuid
from collections.abc import Mapping
from typing import Any

import requests

from local import names
from local.azureml.jobs.state import Job
from local.azureml.services import Services

KIND = "event_outbox"
_BATCH = 50
_POLL_S = 0.2
_MAX_BACKOFF_S = 10.0
_TIMEOUT_S = 10
_HEADERS = {"Authorization": "Bearer azure-ml-emulator"}


class Outbox:
    """Events on their way. `send` only writes them down; the thread between `start` and `stop` delivers
    them by their times; two of the same instant come in any order, as from Event Grid itself.

    Idempotency: the event's id. An event can arrive twice (killed between delivery and its note), never not at all.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def send(self, event: dict[str, Any]) -> None:
        """Write the event down. Without an Event Grid to send to there is nothing to keep."""
        if self._services.config.eventgrid is not None:
            self._services.store.insert(KIND, f"{event['eventTime']}/{event['id']}", event)

    def start(self) -> None:
        if self._services.config.eventgrid is None or self._thread is not None:
            return
        self._thread = threading.Thread(target=self._deliver, name="event-outbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=_TIMEOUT_S + 1)

    def _deliver(self) -> None:
        pause_s = _POLL_S
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self._services.config.tls.ca_bundle)
            while not self._stopping.wait(pause_s):
                try:
                    self._deliver_batch(session)
                    pause_s = _POLL_S
                except requests.RequestException as fault:
                    pause_s = min(pause_s * 2, _MAX_BACKOFF_S)
                    print(f"event grid: {fault}; trying again in {pause_s:.1f} s", flush=True)

    def _deliver_batch(self, session: requests.Session) -> None:
        waiting = self._services.store.list(KIND)[:_BATCH]
        if not waiting:
            return
        answer = self._post(session, [event for _, event in waiting])
        if answer.status_code == 400 and len(waiting) > 1:
            waiting = waiting[:1]  # one of them is refused: alone it shows whether it is this one
            answer = self._post(session, [event for _, event in waiting])
        if answer.status_code == 400:
            print(f"event grid refuses {waiting[0][1]['id']}, which is dropped: {answer.text[:200]}", flush=True)
        else:
            answer.raise_for_status()
        for key, _ in waiting:
            self._services.store.delete(KIND, key)

    def _post(self, session: requests.Session, sent: list[dict[str, Any]]) -> requests.Response:
        url = f"{self._services.config.eventgrid}/topics/{names.WORKSPACE_TOPIC}/api/events"
        return session.post(url, json=sent, headers=_HEADERS, timeout=_TIMEOUT_S)


def run_events(job: Job, change: Mapping[str, str]) -> list[dict[str, Any]]:
    """Write what Azure ML says of one change of a run: its new status, and RunCompleted besides when it completed.

    Source: Event Grid's schema of Azure Machine Learning events; runs of a pipeline's steps raise the same events.
    """
    data = {
        "experimentId": job.experiment_id,
        "experimentName": job.experiment_name,
        "runId": change["run_id"],
        **_run_properties(job, change["run_id"]),
    }
    status = {**data, "runStatus": change["status"].lower()}
    events = [_event(job, change, "RunStatusChanged", status)]
    if change["status"] == "Completed":
        events.append(_event(job, change, "RunCompleted", data))
    return events


def _run_properties(job: Job, run_id: str) -> dict[str, Any]:
    if run_id == job.name:
        properties = {"azureml.runsource": "azureml.PipelineRun", "runSource": "MFE", "runType": "HTTP"}
        return {"runType": "azureml.PipelineRun", "runTags": job.tags, "runProperties": properties}
    step = next(step for step in job.steps if step.run_id == run_id)
    properties = {
        "azureml.runsource": "azureml.StepRun",
        "azureml.moduleName": step.component,
        "azureml.pipelinerunid": job.name,
    }
    return {"runType": "azureml.StepRun", "runTags": {"azureml.pipeline": job.name}, "runProperties": properties}


def _event(job: Job, change: Mapping[str, str], kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "topic": names.WORKSPACE_ID,
        "subject": f"experiments/{job.experiment_id}/runs/{change['run_id']}",
        "eventType": f"Microsoft.MachineLearningServices.{kind}",
        "eventTime": change["time"].replace("+00:00", "Z"),
        "id": str(uuid.uuid5(uuid.UUID(change["id"]), kind)),
        "data": data,
        "dataVersion": "",
        "metadataVersion": "1",
    }
