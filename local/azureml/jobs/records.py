"""The jobs in the store. A change is committed together with its events, which then go to the outbox."""

from collections.abc import Callable
from datetime import datetime

from local.azureml import events
from local.azureml.http import AzureError
from local.azureml.jobs import state
from local.azureml.jobs.state import Job
from local.azureml.services import Services

Move = Callable[[Job, datetime], Job]


def find(services: Services, name: str) -> Job | None:
    doc = services.store.get(state.KIND, name)
    return None if doc is None else Job.from_doc(doc)


def get(services: Services, name: str) -> Job:
    """Raises: AzureError: 404 when there is no such job."""
    job = find(services, name)
    if job is None:
        raise AzureError(404, "UserError", f"Job {name} not found.", inner=("NotFound", "JobNotFound"))
    return job


def move(services: Services, name: str, fn: Move) -> Job:
    """Replace the job by `fn(job, now)` in one transaction and tell Event Grid; when `fn` raises nothing changes."""

    def change(doc: dict[str, object]) -> dict[str, object]:
        return fn(Job.from_doc(doc), services.now()).to_doc()

    doc = services.store.update(state.KIND, name, change)
    if doc is None:
        raise LookupError(f"job {name} is not in the store")
    job = Job.from_doc(doc)
    publish(services, job)
    return job


def publish(services: Services, job: Job) -> None:
    """Hand the job's changes to the outbox, then forget them. In this order an event can repeat, never get lost."""
    if not job.changes:
        return
    outbox = events.Outbox(services)
    for change in job.changes:
        for event in events.run_events(job, change):
            outbox.send(event)
    ids = {change["id"] for change in job.changes}
    services.store.update(state.KIND, job.name, lambda doc: state.published(Job.from_doc(doc), ids).to_doc())
