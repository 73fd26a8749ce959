"""The tracked runs and experiments: what jobs are to MLflow, and what clients log to them.

A job's pipeline and its steps are runs whose name, status and times belong to the job; only their tags, parameters and
metrics are kept here. Runs that a client made itself are kept here whole.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypedDict, cast

from local import names
from local.azureml.jobs import state as jobs
from local.azureml.mlflow.errors import MlflowError
from local.azureml.services import Services
from local.azureml.store import Store

RUN_KIND = "mlflow_run"
METRIC_KIND = "mlflow_metric"
EXPERIMENT_KIND = "experiment"
STEP_KIND = "job_step"
DEFAULT_EXPERIMENT = "Default"

_EXPERIMENT_IDS = uuid.UUID("1d3c2d5e-6c0a-4b0e-8f4b-0c8a2f3b7a55")
_MLFLOW_STATUS = {
    "NotStarted": "SCHEDULED",
    "Preparing": "SCHEDULED",
    "Queued": "SCHEDULED",
    "Running": "RUNNING",
    "Finalizing": "RUNNING",
    "CancelRequested": "RUNNING",
    "Completed": "FINISHED",
    "Failed": "FAILED",
    "Canceled": "KILLED",
}


class Run(TypedDict):
    """One run as MLflow knows it; times in milliseconds; latest is {metric: [value, timestamp, step]}."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    start_time: int | None
    end_time: int | None
    user: str
    tags: dict[str, str]
    params: dict[str, str]
    latest: dict[str, list[Any]]


Point = tuple[str, float, int, int]
"""One metric value: key, value, timestamp in milliseconds, step."""


def experiment_id(name: str) -> str:
    """Name an experiment's id: a function of its name, so making it twice makes one."""
    return str(uuid.uuid5(_EXPERIMENT_IDS, name))


def ensure_experiment(store: Store, name: str, now: datetime) -> str:
    """Make the experiment unless it is there. Idempotency: its name."""
    key = experiment_id(name)
    time = milliseconds(now)
    doc = {"experiment_id": key, "name": name, "creation_time": time, "last_update_time": time, "tags": {}}
    store.insert(EXPERIMENT_KIND, key, doc)
    return key


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def new_run(services: Services, experiment: str, name: str, user: str, start: int, tags: dict[str, str]) -> Run:
    """Make a run of the client's own."""
    run_id = str(uuid.uuid4())
    parent = tags.get("mlflow.parentRunId")
    root = find_run(services, parent)["tags"]["mlflow.rootRunId"] if parent else run_id
    run = Run(
        run_id=run_id,
        experiment_id=experiment,
        name=name,
        status="RUNNING",
        start_time=start,
        end_time=None,
        user=user,
        tags={**tags, "mlflow.rootRunId": root, "mlflow.runName": name, "mlflow.user": user},
        params={},
        latest={},
    )
    services.store.put(RUN_KIND, run_id, dict(run))
    return run


def find_run(services: Services, run_id: str) -> Run:
    """Raises: MlflowError: RESOURCE_DOES_NOT_EXIST."""
    store = services.store
    step = store.get(STEP_KIND, run_id)
    doc = store.get(jobs.KIND, step["job"] if step else run_id)
    logged = store.get(RUN_KIND, run_id)
    if doc is not None:
        job = jobs.Job.from_doc(doc)
        return _step_run(job, step["step"], logged) if step else _job_run(job, logged)
    if logged is None:
        raise MlflowError("RESOURCE_DOES_NOT_EXIST", f"Run with id {run_id} could not be found.")
    return cast(Run, logged)


def every_run(services: Services) -> list[Run]:
    """Answer all runs, the newest first."""
    logged = dict(services.store.list(RUN_KIND))
    runs: list[Run] = []
    for _, doc in services.store.list(jobs.KIND):
        job = jobs.Job.from_doc(doc)
        runs.append(_job_run(job, logged.pop(job.name, None)))
        runs.extend(_step_run(job, step.name, logged.pop(step.run_id, None)) for step in job.steps)
    runs.extend(cast(Run, doc) for doc in logged.values() if "run_id" in doc)
    return sorted(runs, key=lambda run: (-(run["start_time"] or 0), run["run_id"]))


def log(
    services: Services,
    run_id: str,
    *,
    points: Iterable[Point] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Record metrics, parameters and tags of a run.

    Raises: MlflowError: no such run; a parameter that has another value already.
    """
    known = find_run(services, run_id)
    for name, text in (params or {}).items():
        if known["params"].get(name, text) != text:
            fault = f"Changing param values is not allowed. Param with key='{name}' was already logged with value="
            raise MlflowError("INVALID_PARAMETER_VALUE", f"{fault}'{known['params'][name]}' for run ID='{run_id}'.")
    by_key: dict[str, list[list[Any]]] = {}
    for key, value, timestamp, step in points:
        by_key.setdefault(key, []).append([value, timestamp, step])
    for key, values in by_key.items():
        _append(services.store, f"{run_id}/{key}", values)

    def merge(doc: dict[str, Any]) -> dict[str, Any]:
        doc["tags"].update(tags or {})
        doc["params"].update(params or {})
        for key, values in by_key.items():
            candidates = [*values, doc["latest"].get(key)]
            doc["latest"][key] = max((c for c in candidates if c), key=lambda c: (c[2], c[1]))
        return doc

    services.store.insert(RUN_KIND, run_id, {"tags": {}, "params": {}, "latest": {}})
    services.store.update(RUN_KIND, run_id, merge)


def update_run(services: Services, run_id: str, status: str | None, end_time: int | None, name: str | None) -> Run:
    """Change a client's own run. The status and the times of a job's runs are the job's: those stay as they are."""
    find_run(services, run_id)

    def change(doc: dict[str, Any]) -> dict[str, Any]:
        if "run_id" in doc:
            doc.update(status=status or doc["status"], end_time=end_time or doc["end_time"], name=name or doc["name"])
            doc["tags"]["mlflow.runName"] = doc["name"]
        return doc

    services.store.update(RUN_KIND, run_id, change)
    return find_run(services, run_id)


def delete_tag(services: Services, run_id: str, key: str) -> None:
    def drop(doc: dict[str, Any]) -> dict[str, Any]:
        doc["tags"].pop(key, None)
        return doc

    find_run(services, run_id)
    services.store.update(RUN_KIND, run_id, drop)


def history(services: Services, run_id: str, metric: str) -> list[list[Any]]:
    """Answer every [value, timestamp, step] of a metric in the order of its steps; none when it was never logged."""
    find_run(services, run_id)
    doc = services.store.get(METRIC_KIND, f"{run_id}/{metric}")
    points = doc["points"] if doc else []
    return sorted(points, key=lambda point: (point[2], point[1]))


def forget_logged(store: Store, run_id: str) -> None:
    """Drop what an interrupted attempt logged: the job begins anew, and each step of a curve shall be there once."""
    store.delete(RUN_KIND, run_id)
    for key, _ in store.list(METRIC_KIND, f"{run_id}/"):
        store.delete(METRIC_KIND, key)


def _append(store: Store, key: str, values: list[list[Any]]) -> None:
    store.insert(METRIC_KIND, key, {"points": []})
    store.update(METRIC_KIND, key, lambda doc: {"points": doc["points"] + values})


def _job_run(job: jobs.Job, logged: Mapping[str, Any] | None) -> Run:
    name = job.request.get("displayName") or job.name
    tags = {**job.tags, "mlflow.rootRunId": job.name, "mlflow.runName": name, "mlflow.user": "local"}
    return _run(job, job.name, name, job.status, job.created_at, job.ended_at, tags, logged)


def _step_run(job: jobs.Job, step_name: str, logged: Mapping[str, Any] | None) -> Run:
    step = next(step for step in job.steps if step.name == step_name)
    tags = {
        "azureml.nodeid": step.run_id[:8],
        "azureml.pipeline": job.name,
        "mlflow.parentRunId": job.name,
        "mlflow.rootRunId": job.name,
        "mlflow.runName": step.name,
        "mlflow.user": "local",
    }
    return _run(job, step.run_id, step.name, step.status, step.started_at, step.ended_at, tags, logged)


def _run(
    job: jobs.Job,
    run_id: str,
    name: str,
    status: str,
    start: str | None,
    end: str | None,
    tags: dict[str, str],
    logged: Mapping[str, Any] | None,
) -> Run:
    return Run(
        run_id=run_id,
        experiment_id=job.experiment_id,
        name=name,
        status=_MLFLOW_STATUS[status],
        start_time=milliseconds(datetime.fromisoformat(start or job.created_at)),
        end_time=milliseconds(datetime.fromisoformat(end)) if end else None,
        user="local",
        tags={**(logged["tags"] if logged else {}), **tags},
        params=dict(logged["params"]) if logged else {},
        latest=dict(logged["latest"]) if logged else {},
    )


def artifact_uri(run: Run) -> str:
    return f"{names.WORKSPACE_URI}/experiments/{run['experiment_id']}/runs/{run['run_id']}/artifacts"
