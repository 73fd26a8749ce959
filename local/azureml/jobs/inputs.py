"""What a job's process finds in its folder before it starts: its input files, and job.json."""

import json
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError as StorageError
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobClient

from local import names
from local.azureml import faults
from local.azureml.identity import issue
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
    """Write what the command node's process reads, and answer its folder. Doing it again does it over."""
    assert job.command is not None, "only a job with a command node runs one"
    folder = command_dir(services, job)
    folder.mkdir(parents=True, exist_ok=True)
    fault = faults.read(services.config.state_dir, "job")
    document = {
        **job.command,
        "job": job.name,
        "run_id": job.steps[0].run_id,
        "storage": services.config.storage,
        "log": str(job_dir(services, job.name) / "logs" / f"{job.command['node']}.txt"),
        "fail": fault if fault and fault.get("step") == job.command["node"] else None,
    }
    _write(folder / "command.json", json.dumps(document, indent=1).encode())
    return folder


def command_dir(services: Services, job: Job) -> Path:
    assert job.command is not None, "only a job with a command node has its folder"
    return job_dir(services, job.name) / "nodes" / str(job.command["node"])


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
        "fail": faults.read(config.state_dir, "job"),
        "mlflow": {
            "tracking_uri": f"{config.base_url}/mlflow/v2.0{names.WORKSPACE_ID}",
            "token": issue(services, "https://ml.azure.com"),
            "ca_bundle": str(config.tls.ca_bundle),
            "experiment_id": job.experiment_id,
        },
    }


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
