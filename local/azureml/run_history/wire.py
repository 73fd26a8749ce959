"""Runs as the run history service writes them: all 61 keys, for a pipeline and for one of its steps.

Source of the shapes: Azure's recorded answers to runs/N, runs/N/children and rundata. runs/N/details was never
recorded: its keys are those of the SDK's model RunDetails.
"""

import uuid
from datetime import datetime
from typing import Any

from local import names
from local.azureml.arm import CREATED_BY
from local.azureml.identity import PRINCIPAL_ID
from local.azureml.jobs.state import Job, Step
from local.azureml.jobs.wire import run_properties

_USER = {
    "userObjectId": PRINCIPAL_ID,
    "userPuId": None,
    "userIdp": None,
    "userAltSecId": None,
    "userIss": f"https://sts.windows.net/{names.TENANT}/",
    "userTenantId": names.TENANT,
    "userName": CREATED_BY,
    "upn": None,
}


def pipeline_run(job: Job, base_url: str) -> dict[str, Any]:
    return _run(
        job,
        base_url,
        run_id=job.name,
        run_uuid=job.run_uuid,
        parent=False,
        status=job.status,
        times=(job.started_at, job.ended_at),
        error=job.error,
        own={
            "displayName": job.request.get("displayName") or job.name,
            "name": None,
            "description": job.request.get("description"),
            "runType": "azureml.PipelineRun",
            "runTypeV2": _run_type("Pipeline", ["azureml.PipelineRun", "MFE", "HTTP", "DevPlatv2"]),
            "properties": run_properties(job),
            "tags": job.tags,
            "target": None,
            "currentAttemptId": max(job.attempt, 1),
            "uniqueChildRunComputeTargets": [job.inputs.get("compute_finetune", "serverless")],
            "retainForLifetimeOfWorkspace": False,
            "inputs": {},
            "outputs": _outputs(job),
        },
    )


def step_run(job: Job, step: Step, base_url: str) -> dict[str, Any]:
    node_id = step.run_id[:8]
    return _run(
        job,
        base_url,
        run_id=step.run_id,
        run_uuid=_uuid(step.run_id),
        parent=True,
        status=step.status,
        times=(step.started_at, step.ended_at),
        error=step.error,
        own={
            "displayName": step.name,
            "name": step.component,
            "description": None,
            "runType": "azureml.StepRun",
            "runTypeV2": _run_type(None, ["azureml.StepRun"]),
            "properties": {
                "azureml.isreused": "false",
                "azureml.runsource": "azureml.StepRun",
                "azureml.nodeid": node_id,
                "StepType": "PythonScriptStep",
                "ComputeTargetType": "AmlCompute",
                "azureml.moduleName": step.component,
                "azureml.moduleVersion": step.version,
                "azureml.pipeline": job.name,
                "azureml.pipelinerunid": job.name,
                "azureml.DevPlatv2": "true",
            },
            "tags": {"azureml.nodeid": node_id, "azureml.pipeline": job.name},
            "target": _target(job, step),
            "currentAttemptId": None,
            "uniqueChildRunComputeTargets": [],
            "retainForLifetimeOfWorkspace": None,
            "inputs": None,
            "outputs": None,
        },
    )


def _target(job: Job, step: Step) -> str:
    for command in (job.command, job.after):
        if command is not None and command["node"] == step.name:
            return str(command["compute"])
    return job.inputs.get("compute_finetune", "serverless")


def details(run: dict[str, Any], log_files: dict[str, str]) -> dict[str, Any]:
    kept = ("runId", "runUuid", "parentRunUuid", "rootRunUuid", "target", "status", "parentRunId", "startTimeUtc")
    more = ("endTimeUtc", "error", "warnings", "tags", "properties", "parameters", "services", "inputDatasets")
    return {
        **{key: run[key] for key in (*kept, *more, "outputDatasets", "runDefinition")},
        "createdTimeUtc": run["createdUtc"],
        "logFiles": log_files,
        "submittedBy": CREATED_BY,
    }


def run_data(job: Job, base_url: str) -> dict[str, Any]:
    definition = {"JobType": "Pipeline", "PipelineJobType": "AzureML"}
    return {"runMetadata": pipeline_run(job, base_url), "runDefinition": definition}


def _run(
    job: Job,
    base_url: str,
    *,
    run_id: str,
    run_uuid: str,
    parent: bool,
    status: str,
    times: tuple[str | None, str | None],
    error: dict[str, Any] | None,
    own: dict[str, Any],
) -> dict[str, Any]:
    started, ended = times
    duration = _duration(started, ended)
    scope = f"{names.SUBSCRIPTION_ID}/resourceGroups/{names.RESOURCE_GROUP}/workspaces/{names.WORKSPACE}"
    cancel = f"{base_url}/studioservice/api{scope}/PipelineRuns/{run_id}/cancel"
    nulls = ("token", "tokenExpiryTimeUtc", "warnings", "lastStartTimeUtc", "currentComputeTime")
    more_nulls = ("effectiveStartTimeUtc", "cancelationReason", "scheduleId", "scriptName", "runDefinition")
    last_nulls = ("jobSpecification", "primaryMetricName", "createdFrom", "completeUri", "diagnosticsUri")
    compute_nulls = ("computeRequest", "compute", "queueingInfo")
    return {
        **dict.fromkeys((*nulls, *more_nulls, *last_nulls, *compute_nulls)),
        "runNumber": job.number,
        "rootRunId": job.name,
        "createdUtc": job.created_at,
        "createdBy": _USER,
        "userId": PRINCIPAL_ID,
        "error": _error(error, ended),
        "revision": job.revision,
        "statusRevision": job.revision,
        "runUuid": run_uuid,
        "parentRunUuid": job.run_uuid if parent else None,
        "rootRunUuid": job.run_uuid,
        "computeDuration": duration,
        "lastModifiedBy": _USER,
        "lastModifiedUtc": ended or started or job.created_at,
        "duration": duration,
        "runId": run_id,
        "parentRunId": job.name if parent else None,
        "experimentId": job.experiment_id,
        "status": status,
        "startTimeUtc": started,
        "endTimeUtc": ended,
        "dataContainerId": f"dcid.{run_id}",
        "hidden": False,
        "parameters": {},
        "actionUris": {"Cancel": cancel},
        "settings": {},
        "services": {},
        "inputDatasets": [],
        "outputDatasets": [],
        "cancelUri": cancel,
        **own,
    }


def _error(error: dict[str, Any] | None, time: str | None) -> dict[str, Any] | None:
    """Write the reason of a failure. Source: the SDK's models RunHistoryErrorResponse and RootError."""
    if error is None:
        return None
    root: dict[str, Any] = {
        "code": error.get("code") or "UserError",
        "severity": None,
        "message": error.get("message") or "",
        "messageFormat": None,
        "messageParameters": {},
        "referenceCode": None,
        "detailsUri": None,
        "target": None,
        "details": [],
        "innerError": None,
        "debugInfo": None,
        "additionalInfo": None,
    }
    return {
        "error": root,
        "correlation": {},
        "environment": names.LOCATION,
        "location": names.LOCATION,
        "time": time,
        "componentName": "RunHistory",
    }


def _outputs(job: Job) -> dict[str, Any]:
    """Name the assets behind the outputs: the data a step wrote, as Azure registers it."""
    if job.status != "Completed":
        return {}
    last = job.steps[-1].run_id
    prefix = f"azureml://locations/{names.LOCATION}/workspaces/{names.WORKSPACE_GUID}/data"
    kinds = {name: (sent or {}).get("jobOutputType") for name, sent in (job.request.get("outputs") or {}).items()}
    return {
        name: {
            "assetId": f"{prefix}/azureml_{last}_output_data_{component_output}/versions/1",
            "type": "MLFlowModel" if kinds.get(name) == "mlflow_model" else "UriFolder",
        }
        for name, component_output in job.outputs.items()
    }


def _duration(started: str | None, ended: str | None) -> str | None:
    if started is None or ended is None:
        return None
    seconds = max((datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds(), 0.0)
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02d}:{minutes:02d}:{rest:010.7f}"


def _run_type(orchestrator: str | None, traits: list[str]) -> dict[str, Any]:
    return {"orchestrator": orchestrator, "traits": traits, "attribution": None, "computeType": None}


def _uuid(run_id: str) -> str:
    return str(uuid.uuid5(uuid.UUID(run_id), "run"))
