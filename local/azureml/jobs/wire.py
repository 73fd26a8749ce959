"""A job to the JSON of Azure's jobs API, and back from what a client may still change.

Source of the shapes: Azure's recorded answers (PUT of 2023-04-01-preview, GET of a completed pipeline and of a child).
"""

import json
from collections.abc import Mapping
from typing import Any

from local import names
from local.azureml.arm import CREATED_BY, resource_id
from local.azureml.http import AzureError
from local.azureml.jobs.state import Job

_TYPE = "Microsoft.MachineLearningServices/workspaces/jobs"
# What a second PUT must not change, as the sent property and as the service's refusal names it.
_IMMUTABLE = (("settings", "Settings"), ("inputs", "Inputs"), ("outputs", "Outputs"), ("jobs", "Jobs"))


def job_json(job: Job, base_url: str) -> dict[str, Any]:
    """Write a pipeline job. `outputs.*.uri` stays null even when completed: Azure tells it in the run history only."""
    sent = job.request
    properties = {
        "description": sent.get("description"),
        "tags": job.tags,
        "properties": run_properties(job),
        "displayName": sent.get("displayName") or job.name,
        "status": job.status,
        "experimentName": job.experiment_name,
        "services": services_json(job.name, base_url),
        "computeId": sent.get("computeId"),
        "isArchived": bool(sent.get("isArchived")),
        "identity": sent.get("identity"),
        "componentId": None,
        "notificationSetting": None,
        "secretsConfiguration": None,
        "jobType": "Pipeline",
        "settings": sent.get("settings"),
        "jobs": sent.get("jobs"),
        "inputs": sent.get("inputs") or None,
        "outputs": {name: _output(value) for name, value in (sent.get("outputs") or {}).items()},
        "sourceJobId": None,
    }
    return {**child_json(job.name, job.created_at), "properties": properties}


def child_json(name: str, created_at: str) -> dict[str, Any]:
    """Write what the jobs API knows of a pipeline's step: no `properties` at all."""
    return {
        "id": resource_id("jobs", name),
        "name": name,
        "type": _TYPE,
        "systemData": {"createdAt": created_at, "createdBy": CREATED_BY, "createdByType": "User"},
    }


def run_properties(job: Job) -> dict[str, str]:
    """The client's, and what the service adds once it has taken the pipeline up (not in the answer to the PUT)."""
    own = {str(key): str(value) for key, value in (job.request.get("properties") or {}).items()}
    if job.status == "NotStarted":
        return own
    settings = job.request.get("settings") or {}
    properties = {
        **own,
        "azureml.DevPlatv2": "true",
        "azureml.runsource": "azureml.PipelineRun",
        "runSource": "MFE",
        "runType": "HTTP",
        "azureml.parameters": "{}",
        "azureml.continue_on_step_failure": str(bool(settings.get("continue_on_step_failure"))),
        "azureml.continue_on_failed_optional_input": "True",
        "azureml.defaultDataStoreName": names.DEFAULT_DATASTORE,
        "azureml.pipelineComponent": "pipelinerun",
    }
    if job.ended:
        status = "Finished" if job.status == "Completed" else job.status
        execution = {"StartTime": job.started_at or job.created_at, "EndTime": job.ended_at, "Status": status}
        properties["azureml.pipelines.stages"] = json.dumps({"Initialization": None, "Execution": execution})
    return properties


def services_json(name: str, base_url: str) -> dict[str, Any]:
    tracking = f"azureml://{base_url.removeprefix('https://')}/mlflow/v1.0{names.WORKSPACE_ID}?"
    scope = f"/subscriptions/{names.SUBSCRIPTION}/resourcegroups/{names.RESOURCE_GROUP}/workspaces/{names.WORKSPACE}"
    endpoints = {"Tracking": tracking, "Studio": f"https://ml.azure.com/runs/{name}?wsid={scope}"}
    empty = {"status": None, "errorMessage": None, "properties": None, "nodes": None}
    return {
        kind: {"jobServiceType": kind, "port": None, "endpoint": endpoint, **empty}
        for kind, endpoint in endpoints.items()
    }


def merged_request(job: Job, sent: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Take a second PUT of a job: its new request and tags. Tags are added and changed, never taken away.

    Raises: AzureError: 400 when the PUT would change what the job runs.
    """
    changed = [title for key, title in _IMMUTABLE if _plain(sent.get(key)) != _plain(job.request.get(key))]
    if changed:
        message = (
            "A job with this name already exists. If you are trying to create a new job, use a different name. "
            f"If you are trying to update an existing job, the existing job's {', '.join(changed)} cannot be changed. "
            "Only description, tags, displayName, properties, and isArchived can be updated."
        )
        raise AzureError(400, "UserError", message, inner=("BadArgument", "Immutable", "JobPropertyImmutable"))
    updatable = {key: sent[key] for key in ("description", "displayName", "properties", "isArchived") if key in sent}
    return {**job.request, **updatable}, {**job.tags, **(sent.get("tags") or {})}


def _plain(value: Any) -> Any:
    """Compare as the service stores it: empty and null say the same, and what is null may as well be left out."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if _plain(item) is not None} or None
    return value


def _output(sent: Any) -> dict[str, Any]:
    sent = sent if isinstance(sent, dict) else {}
    return {
        "description": sent.get("description"),
        "uri": sent.get("uri"),
        "assetName": sent.get("assetName"),
        "assetVersion": sent.get("assetVersion"),
        "mode": sent.get("mode") or "ReadWriteMount",
        "jobOutputType": sent.get("jobOutputType") or "uri_folder",
    }
