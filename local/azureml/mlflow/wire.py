"""Runs, experiments and metrics to MLflow's JSON. Numbers that JSON cannot say travel as text, as protobuf does it."""

import math
from collections.abc import Mapping
from typing import Any

from local.azureml.mlflow.errors import MlflowError
from local.azureml.mlflow.search import Fields
from local.azureml.mlflow.state import Point, Run, artifact_uri


def run_json(run: Run) -> dict[str, Any]:
    info = {
        "run_uuid": run["run_id"],
        "run_id": run["run_id"],
        "run_name": run["name"],
        "experiment_id": run["experiment_id"],
        "user_id": run["user"],
        "status": run["status"],
        "start_time": run["start_time"],
        "artifact_uri": artifact_uri(run),
        "lifecycle_stage": "active",
    }
    if run["end_time"] is not None:
        info["end_time"] = run["end_time"]
    metrics = [metric_json(key, point) for key, point in sorted(run["latest"].items())]
    data = {"metrics": metrics, "params": _pairs(run["params"]), "tags": _pairs(run["tags"])}
    return {"info": info, "data": data, "inputs": {}}


def metric_json(key: str, point: list[Any]) -> dict[str, Any]:
    value, timestamp, step = point
    return {"key": key, "value": _number(value), "timestamp": timestamp, "step": step}


def experiment_json(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "experiment_id": doc["experiment_id"],
        "name": doc["name"],
        "artifact_location": "",
        "lifecycle_stage": "active",
        "creation_time": doc["creation_time"],
        "last_update_time": doc["last_update_time"],
        "tags": _pairs(doc["tags"]),
    }


def run_fields(run: Run) -> Fields:
    """What a search can ask of a run."""
    return {
        "tags": run["tags"],
        "params": run["params"],
        "metrics": {key: point[0] for key, point in run["latest"].items()},
        "attributes": {
            "run_id": run["run_id"],
            "run_name": run["name"],
            "status": run["status"],
            "user_id": run["user"],
            "experiment_id": run["experiment_id"],
            "artifact_uri": artifact_uri(run),
            "start_time": run["start_time"],
            "end_time": run["end_time"],
            "created": run["start_time"],
        },
    }


def experiment_fields(doc: Mapping[str, Any]) -> Fields:
    return {"tags": doc["tags"], "params": {}, "metrics": {}, "attributes": doc}


def read_point(sent: Mapping[str, Any], now_ms: int) -> Point:
    """Raises: MlflowError: INVALID_PARAMETER_VALUE."""
    try:
        value = float(sent["value"])
        return str(sent["key"]), value, int(sent.get("timestamp") or now_ms), int(sent.get("step") or 0)
    except (KeyError, TypeError, ValueError) as fault:
        raise MlflowError("INVALID_PARAMETER_VALUE", f"Metric {dict(sent)!r} has no key or no number.") from fault


def read_pairs(sent: Any) -> dict[str, str]:
    """Read MLflow's [{"key", "value"}] lists. Raises: MlflowError: INVALID_PARAMETER_VALUE."""
    try:
        return {str(pair["key"]): str(pair.get("value", "")) for pair in sent or []}
    except (KeyError, TypeError, AttributeError) as fault:
        raise MlflowError("INVALID_PARAMETER_VALUE", f"Expected a list of key and value, found {sent!r}.") from fault


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in sorted(values.items())]


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
