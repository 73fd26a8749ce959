"""Models of the workspace, and the folder on this machine that each of them is."""

import re
from pathlib import Path
from typing import Any

from local.azureml import assets
from local.azureml.datastores import state as datastores
from local.azureml.http import AzureError
from local.azureml.jobs.state import output_folder
from local.azureml.models.download import download_folder
from local.azureml.services import Services

_TYPES = ("custom_model", "mlflow_model", "triton_model")
_JOB_OUTPUT = re.compile(r"azureml://jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)(?:/paths/(?P<path>.*))?/?")
_MODEL_ID = re.compile(r".*/workspaces/[^/]+/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)", re.IGNORECASE)


def complete(services: Services, _: str, __: str, sent: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fill a model version in. An output of a job becomes a place in storage and the job's name, as in Azure."""
    if sent.get("modelType", "custom_model") not in _TYPES:
        detail = ("InvalidModelType", f"modelType is {sent['modelType']!r}, expected one of {', '.join(_TYPES)}.")
        raise AzureError(400, "ValidationError", "The request is invalid.", [detail])
    uri = sent.get("modelUri") or ""
    job = _JOB_OUTPUT.fullmatch(uri)
    own: dict[str, Any] = {}
    if job is not None:
        own["folder"] = str(_job_folder(services, job["job"], job["output"]))
        uri = f"azureml://datastores/workspaceblobstore/paths/azureml/{job['job']}/{job['output']}/"
    properties = {
        "description": sent.get("description"),
        "tags": sent.get("tags") or {},
        "properties": sent.get("properties") or {},
        "isArchived": bool(sent.get("isArchived")),
        "isAnonymous": bool(sent.get("isAnonymous")),
        "autoDeleteSetting": None,
        "flavors": sent.get("flavors") or {},
        "modelType": sent.get("modelType", "custom_model"),
        "modelUri": datastores.expand(uri, "resourceGroups"),
        "jobName": job["job"] if job else None,
        "provisioningState": "Succeeded",
        "stage": sent.get("stage"),
        "intellectualProperty": None,
    }
    return properties, own


KIND = assets.AssetKind("models", "Model", "modelUri", complete)


def _job_folder(services: Services, job: str, output: str) -> Path:
    folder = output_folder(services, job, output)
    if folder is None:
        message = f"Could not find output {output} of job {job}: there is no such job, or it has not completed."
        raise AzureError(400, "UserError", message, inner=("BadArgument", "JobOutputNotFound"))
    return folder


def find(services: Services, model_id: str) -> dict[str, Any] | None:
    """Answer a model's document by its ARM id; None when it is no workspace model's id or there is none."""
    match = _MODEL_ID.fullmatch(model_id)
    return assets.find(services, KIND, match["name"], match["version"]) if match else None


def local_folder(services: Services, model_id: str) -> Path:
    """Answer the folder that holds a model's files; one that lies in storage is downloaded first, once.

    Raises: FileNotFoundError: the model or its files are gone. The message says which.
    """
    doc = find(services, model_id)
    if doc is None:
        raise FileNotFoundError(f"model {model_id} does not exist")
    if "folder" in doc:
        folder = Path(doc["folder"])
        if not folder.is_dir():
            raise FileNotFoundError(f"the files of model {model_id} are gone: {folder} is not there")
        return folder
    uri = doc["properties"]["modelUri"]
    place = datastores.parse(uri)
    container = datastores.container_of(services, place[0]) if place else None
    if place is None or container is None:
        raise FileNotFoundError(f"model {model_id} lies at {uri}, which is not a datastore here")
    into = services.config.state_dir / "azureml" / "models"
    return download_folder(services.config.storage, container, place[1], into)
