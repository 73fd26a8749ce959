"""Which run is whose, and the log files of each. The logs' addresses need no token, as Azure's signed addresses."""

import hashlib
import hmac
from pathlib import Path

from local.azureml.http import AzureError
from local.azureml.jobs import records, state
from local.azureml.jobs.state import Job, Step
from local.azureml.mlflow.state import STEP_KIND
from local.azureml.services import Services

LOG_ROUTE = "/logs/{run_id}/{path:path}"
# The names Azure gives them.
_PIPELINE_LOGS = tuple(f"logs/azureml/{name}.txt" for name in ("executionlogs", "stderrlogs", "stdoutlogs"))
_STEP_LOGS = ("user_logs/std_log.txt",)


def find(services: Services, run_id: str) -> tuple[Job, Step | None]:
    """Answer the job of a run, and the step when the run is one. Raises: AzureError: 404."""
    child = services.store.get(STEP_KIND, run_id)
    job = records.find(services, child["job"] if child else run_id)
    if job is None:
        message = f"Run {run_id} was not found."
        raise AzureError(404, "UserError", message, inner=("NotFound", "RunNotFound"))
    return job, job.step(child["step"]) if child else None


def log_urls(services: Services, job: Job, step: Step | None) -> dict[str, str]:
    run_id = step.run_id if step else job.name
    base, signature = f"{services.config.base_url}/logs/{run_id}", _signature(services, run_id)
    return {name: f"{base}/{name}?sig={signature}" for name in (_STEP_LOGS if step else _PIPELINE_LOGS)}


def read_log(services: Services, run_id: str, name: str, signature: str) -> str:
    """Answer one log. Raises: AzureError: 403 for a wrong signature, 404 for an unknown run or log."""
    if not hmac.compare_digest(signature.encode(), _signature(services, run_id).encode()):
        raise AzureError(403, "AuthenticationFailed", "The signature of the log's address is wrong.")
    job, step = find(services, run_id)
    folder = state.job_dir(services, job.name) / "logs"
    if step is not None and name in _STEP_LOGS:
        return _text(folder / f"{step.name}.txt")
    if step is None and name in _PIPELINE_LOGS:
        return {"executionlogs": execution_log(job), "stdoutlogs": _text(folder / "process.txt")}.get(
            Path(name).stem, ""
        )
    raise AzureError(404, "BlobNotFound", f"Run {run_id} has no log {name}.")


def execution_log(job: Job) -> str:
    """Tell the pipeline's story, a line for each thing that happened: what `jobs.stream` prints."""
    lines = [(job.created_at, f"Job {job.name} was submitted.")]
    for step in job.steps:
        lines += [(step.started_at, f"Step {step.name} is Running.")] if step.started_at else []
        lines += [(step.ended_at, f"Step {step.name} is {step.status}.")] if step.started_at and step.ended_at else []
    lines += [(job.ended_at, f"Job is {job.status}.")] if job.ended_at else []
    return "".join(f"[{time}] {text}\n" for time, text in lines)


def _text(file: Path) -> str:
    return file.read_text(errors="replace") if file.exists() else ""


def _signature(services: Services, run_id: str) -> str:
    return hmac.new(services.config.tls.key.read_bytes(), f"log {run_id}".encode(), hashlib.sha256).hexdigest()
