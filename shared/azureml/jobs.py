"""A job's status, its failure in its own words, its metrics, its cancellation."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from shared.azureml.client import AzureML, plain
from shared.azureml.dataplane import DataPlane
from shared.azureml.trouble import understood
from shared.errors import RefusedByAzureError, ResourceGoneError

COMPLETED, FAILED, CANCELED = "Completed", "Failed", "Canceled"
# Not "NotResponding": a job comes back from there to any other status.
ENDED = frozenset({COMPLETED, FAILED, CANCELED})
QUEUED = frozenset({"NotStarted", "Starting", "Provisioning", "Preparing", "Queued"})
"""No machine is at work yet. A pipeline that is Running may still wait for the machine of one of its steps."""
HISTORY_LIMIT = 200
MOST_METRICS = 60
"""Names of metrics that are kept with a run; of more, those that come first in the alphabet."""
_BEST_OF = ("eval_loss",)
_MESSAGE_LENGTH = 2000


def find_job(azureml: AzureML, name: str) -> str | None:
    """Return a job's status, None when there is no such job."""
    try:
        with understood(f"looking up job {name}"):
            return plain(azureml.workspace.jobs.get(name).status)
    except ResourceGoneError:
        return None


def cancel_job(azureml: AzureML, name: str) -> None:
    """Begin to cancel a job; a job that has ended or is not there needs nothing."""
    with contextlib.suppress(ResourceGoneError):
        try:
            with understood(f"cancelling job {name}"):
                azureml.workspace.jobs.begin_cancel(name)
        except RefusedByAzureError:
            # Azure answers 400 for a job that has ended; anything else must be said.
            if find_job(azureml, name) not in ENDED:
                raise


def failure_of(plane: DataPlane, name: str) -> str:
    """Return why a job failed, in the words of the step that failed.

    The job's own answer has no error; the run history has, for the job and for each step.
    """
    # The deepest first: what contains a failed step says no more than that it failed.
    for step in reversed(_failed(plane, name)):
        message = _message(step)
        if message:
            return f"step {_title(step)}: {message}"
    return _message(plane.run(name)) or "the job failed without saying why; see its logs in Azure ML's studio"


def has_only_failed_in(plane: DataPlane, name: str, step: str) -> bool:
    """Tell whether a failed job did all its work but that of one step."""
    return {_title(failed) for failed in _failed(plane, name)} == {step}


def _failed(plane: DataPlane, name: str) -> list[dict[str, Any]]:
    return [step for step in plane.steps(name) if step.get("status") == FAILED]


def _title(step: Mapping[str, Any]) -> str:
    return str(step.get("displayName") or step.get("name") or step["runId"])


def final_and_best_metrics(plane: DataPlane, name: str) -> dict[str, float]:
    """Return the last value of every metric of a job and its steps, and as `best.eval_loss` the lowest of that one.

    A step's value wins over the job's. What diverged (NaN, infinite) is left out: JSON cannot carry it, and a row that
    holds it could not be read again.
    """
    metrics: dict[str, float] = {}
    for run_id in _run_ids(plane, name):
        last = {key: value for key, value in _last_values(plane, run_id).items() if math.isfinite(value)}
        for metric in last.keys() & set(_BEST_OF):
            last[f"best.{metric}"] = min(point["value"] for point in _points(plane, run_id, metric))
        metrics |= last
    return {key: metrics[key] for key in sorted(metrics)[:MOST_METRICS]}


def metric_histories(plane: DataPlane, name: str) -> dict[str, list[dict[str, float]]]:
    """Return {metric: [{"step", "value"}, ...]} of a job and its steps, at most `HISTORY_LIMIT` points each."""
    histories: dict[str, list[dict[str, float]]] = {}
    for run_id in _run_ids(plane, name):
        for metric in _last_values(plane, run_id):
            histories[metric] = thinned(_points(plane, run_id, metric))
    return histories


def _points(plane: DataPlane, run_id: str, metric: str) -> list[dict[str, float]]:
    """Return a metric's finite values, in the order of their steps."""
    points = [
        {"step": int(point.get("step", 0)), "value": value}
        for point in plane.metric_history(run_id, metric)
        if math.isfinite(value := float(point["value"]))
    ]
    return sorted(points, key=lambda point: point["step"])


def thinned(points: list[dict[str, float]], limit: int = HISTORY_LIMIT) -> list[dict[str, float]]:
    """Keep the first, the last, and evenly spaced points between them."""
    if len(points) <= limit:
        return points
    stride = (len(points) - 1) / (limit - 1)
    return [points[round(i * stride)] for i in range(limit)]


def _run_ids(plane: DataPlane, name: str) -> Iterable[str]:
    return [name, *(str(step["runId"]) for step in plane.steps(name))]


def _last_values(plane: DataPlane, run_id: str) -> dict[str, float]:
    try:
        metrics = plane.mlflow_run(run_id).get("data", {}).get("metrics", [])
    except ResourceGoneError:  # a step that logged nothing may have no MLflow run
        return {}
    return {metric["key"]: float(metric["value"]) for metric in metrics}


def _message(run: Mapping[str, Any]) -> str | None:
    """Read a run's error: {"error": {"code", "message", "messageFormat", ...}}."""
    error = run.get("error") or {}
    inner = error.get("error") if isinstance(error.get("error"), Mapping) else error
    message = (inner or {}).get("message")
    return str(message).strip()[:_MESSAGE_LENGTH] if message else None
