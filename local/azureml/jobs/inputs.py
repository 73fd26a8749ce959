"""What a job's process finds in its folder before it starts: its input files, and job.json."""

import json
import sys
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError as StorageError
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient

from local import names
from local.azureml import faults
from local.azureml.http import AzureError
from local.azureml.identity import issue
from local.azureml.jobs.lookup import WorkspaceLookup
from local.azureml.jobs.state import Job, job_dir
from local.azureml.services import Services
from local.training import engines


class InputError(Exception):
    """An input of the job cannot be read; the message is the reason the job fails with."""


def honest_tags(engine: str, job: Job) -> dict[str, str]:
    """Say on the job what runs here: a small model stands in for the one that was asked for."""
    return {
        "local.requested_model": job.requested_model,
        "local.trained_model": engines.FOLDERS[engine],
        "local.engine": engine,
    }


def prepare(services: Services, job: Job) -> None:
    """Download the job's files and write its job.json. Doing it again does it over.

    Raises: InputError: a blob is missing or the storage does not answer.
    """
    folder = job_dir(services, job.name)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: _download(services.config.storage, folder, name, file) for name, file in job.files.items()}
    document = _job_document(services, job, folder, paths)
    (folder / "outputs").mkdir(exist_ok=True)
    _write(folder / "job.json", json.dumps(document, indent=1).encode())


def prepare_command(services: Services, job: Job) -> Path:
    """Write what the command node's process reads, and answer its folder. Doing it again does it over.

    Raises: InputError: a model that it reads is gone.
    """
    command, config = job.current_command, services.config
    assert command is not None, "only a command node's turn needs this"
    folder = command_dir(services, job)
    folder.mkdir(parents=True, exist_ok=True)
    node = str(command["node"])
    document = {
        **command,
        "inputs": {name: _command_input(services, job, name, sent) for name, sent in command["inputs"].items()},
        "job": job.name,
        "run_id": job.phase_steps[0].run_id,
        "storage": config.storage,
        "log": str(job_dir(services, job.name) / "logs" / f"{node}.txt"),
        "fail": _failure(services, job, [node]),
        # Stands in for the command's environment: a curated one has torch, one of the app's own what the app has.
        "python": str(config.ml_python if is_curated(str(command.get("environment"))) else sys.executable),
        "mlflow": _mlflow(services, job),
    }
    _write(folder / "command.json", json.dumps(document, indent=1).encode())
    return folder


def is_curated(environment: str) -> bool:
    """Tell whether an environment is one of a registry."""
    return environment.startswith("azureml://registries/")


def _command_input(services: Services, job: Job, name: str, sent: dict[str, str]) -> dict[str, str]:
    """Answer an input with what the node's process needs to know: a model is a folder of this machine."""
    if "trained" in sent:
        return {"value": str(job_dir(services, job.name) / "outputs" / sent["trained"])}
    if "model" not in sent:
        return sent
    try:
        return {"value": str(WorkspaceLookup(services).model_folder(sent["model"]))}
    except (AzureError, FileNotFoundError) as fault:
        raise InputError(f"Input {name}: the model {sent['model']} could not be read: {fault}") from fault


def command_dir(services: Services, job: Job) -> Path:
    command = job.current_command
    assert command is not None, "only a job whose command node's turn it is has its folder"
    return job_dir(services, job.name) / "nodes" / str(command["node"])


def _job_document(services: Services, job: Job, folder: Path, paths: dict[str, str]) -> dict[str, Any]:
    config = services.config
    return {
        "name": job.name,
        "engine": config.engine,
        "base_model_dir": str(engines.folder(config.cache_dir, config.engine)),
        "requested_model": job.requested_model,
        "inputs": {**job.inputs, **paths},
        "outputs": {"mlflow_model_folder": str(folder / "outputs" / "mlflow_model_folder")},
        "steps": [{"name": step.name, "run_id": step.run_id} for step in job.training_steps],
        "fail": _failure(services, job, [step.name for step in job.training_steps]),
        "mlflow": _mlflow(services, job),
    }


def _mlflow(services: Services, job: Job) -> dict[str, str]:
    return {
        "tracking_uri": f"{services.config.base_url}/mlflow/v2.0{names.WORKSPACE_ID}",
        "token": issue(services, "https://ml.azure.com", job=job.name),
        "ca_bundle": str(services.config.tls.ca_bundle),
        "experiment_id": job.experiment_id,
    }


def _failure(services: Services, job: Job, names: list[str]) -> dict[str, str] | None:
    return faults.job_failure(services.config.state_dir, job.name, [step.name for step in job.steps], names)


def _download(storage: str, folder: Path, name: str, file: dict[str, str]) -> str:
    container, blob = file["container"], file["blob"]
    target = folder / "inputs" / name / Path(blob).name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with BlobClient.from_connection_string(storage, container, blob) as client, target.open("wb") as out:
            client.download_blob().readinto(out)
    except ResourceNotFoundError as fault:
        raise InputError(
            f"Input {name}: the blob {blob} was not found in container {container} ({file['uri']})."
        ) from fault
    except StorageError as fault:
        raise InputError(f"Input {name}: {file['uri']} could not be read: {fault.message}") from fault
    return str(target)


def _write(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
