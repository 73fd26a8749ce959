"""What a job is and how it moves. Pure: no HTTP, no process, no clock; only `output_folder` looks into the store.

Every function takes a job and gives a new one. A change that others should hear of is kept in `Job.changes`, in the
same document and so in the same transaction as the change itself: a killed emulator can repeat an event, not lose one.
"""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local.azureml import faults
from local.azureml.services import Services

KIND = "job"
ACTIVE_KIND = "job_active"

ENDED = frozenset({"Completed", "Failed", "Canceled"})
ANNOUNCED = frozenset({"Running", "Completed", "Failed", "Canceled"})
MAX_ATTEMPTS = 5

_NEXT: Mapping[str, frozenset[str]] = {
    "NotStarted": frozenset({"Preparing", "Failed", "CancelRequested"}),
    "Preparing": frozenset({"Queued", "Failed", "CancelRequested"}),
    "Queued": frozenset({"Running", "Failed", "CancelRequested"}),
    # Back to Queued when its node is taken away.
    "Running": frozenset({"Finalizing", "Queued", "Failed", "CancelRequested"}),
    "Finalizing": frozenset({"Completed", "Failed", "CancelRequested"}),
    "CancelRequested": frozenset({"Canceled"}),
}
_RUN_IDS = uuid.UUID("6f0b2f0e-5a0e-4d55-9d0c-1f4b9a7f17e0")


class JobEndedError(Exception):
    """The job has come to its end: nothing moves it any more."""


class IllegalTransitionError(Exception):
    """The job cannot go from its status to the one asked for."""


@dataclass(frozen=True)
class Step:
    """One node of the component: a child run. `run_id` is a function of the job's name and the step's."""

    name: str
    component: str
    version: str
    run_id: str
    status: str = "NotStarted"
    started_at: str | None = None
    ended_at: str | None = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True)
class Job:
    """One pipeline job. `request` is what the client sent; `inputs` what the component gets, defaults included.

    `command` is the command node that runs first, `after` the one that runs last, if there are: with both, phase 0 is
    the one, phase 1 the training, phase 2 the other. `attempt` counts the processes of the phase.
    """

    name: str
    number: int
    run_uuid: str
    created_at: str
    entered_at: str
    request: dict[str, Any]
    node: str
    inputs: dict[str, str]
    files: dict[str, dict[str, str]]
    outputs: dict[str, str]
    requested_model: str
    experiment_id: str
    experiment_name: str
    steps: tuple[Step, ...]
    tags: dict[str, str]
    status: str = "NotStarted"
    started_at: str | None = None
    ended_at: str | None = None
    error: dict[str, Any] | None = None
    command: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    phase: int = 0
    attempt: int = 0
    revision: int = 0
    changes: tuple[dict[str, str], ...] = ()

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)

    @property
    def current_command(self) -> dict[str, Any] | None:
        """The command node whose turn it is; None: it is the training's."""
        training = 1 if self.command else 0
        return self.command if self.phase < training else self.after if self.phase > training else None

    @property
    def in_last_phase(self) -> bool:
        return self.phase == bool(self.command) + bool(self.after)

    @property
    def training_steps(self) -> tuple[Step, ...]:
        return self.steps[bool(self.command) : len(self.steps) - bool(self.after)]

    @property
    def phase_steps(self) -> tuple[Step, ...]:
        """The steps that the phase's process runs."""
        command = self.current_command
        if command is None:
            return self.training_steps
        return tuple(step for step in self.steps if step.name == command["node"])

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> "Job":
        steps = tuple(Step(**step) for step in doc["steps"])
        return cls(**{**doc, "steps": steps, "changes": tuple(doc["changes"])})


@dataclass(frozen=True)
class Outcome:
    """How a job's process ended: with no code, well."""

    code: str | None = None
    message: str = ""


def step_run_id(job_name: str, step_name: str) -> str:
    """Name a child run: always the same one for the same job and step, so a restarted job keeps its children."""
    return str(uuid.uuid5(_RUN_IDS, f"{job_name}/{step_name}"))


def enter(job: Job, status: str, now: datetime) -> Job:
    """Move the job to `status`.

    Raises: JobEndedError: it has ended. IllegalTransitionError: this step is not one a job can take.
    """
    if job.ended:
        raise JobEndedError(f"job {job.name} is {job.status}")
    if status not in _NEXT[job.status]:
        raise IllegalTransitionError(f"job {job.name} cannot go from {job.status} to {status}")
    ended_at = now.isoformat() if status in ENDED else None
    moved = replace(job, status=status, entered_at=now.isoformat(), ended_at=ended_at)
    return _announce(moved, job.name, status, now)


def rested(job: Job, now: datetime, pause: timedelta) -> bool:
    """Say whether the job has been in its status for as long as the service would keep it there."""
    return now - datetime.fromisoformat(job.entered_at) >= pause


def begin_attempt(job: Job, now: datetime, tags: Mapping[str, str]) -> Job:
    """Start the phase's process, the first time or after an interruption: its steps begin anew."""
    running = job if job.status == "Running" else enter(job, "Running", now)
    anew = {step.name for step in job.phase_steps}
    steps = tuple(
        Step(step.name, step.component, step.version, step.run_id) if step.name in anew else step for step in job.steps
    )
    return replace(
        running,
        steps=steps,
        tags={**job.tags, **tags},
        attempt=job.attempt + 1,
        started_at=job.started_at or now.isoformat(),
        revision=running.revision + 1,
    )


def preempted(job: Job, now: datetime) -> Job:
    """Take the job's node away: it is queued again, and its phase's steps will begin anew on another node."""
    anew = {step.name for step in job.phase_steps}
    steps = tuple(replace(step, status="NotStarted") if step.name in anew else step for step in job.steps)
    return replace(enter(job, "Queued", now), steps=steps)


def next_phase(job: Job, _: datetime) -> Job:
    """Go on to the next process: from the command node to the training, from there to the node behind it."""
    return replace(job, phase=job.phase + 1, attempt=0, revision=job.revision + 1)


def step_reported(job: Job, report: Mapping[str, Any], now: datetime) -> Job:
    """Take in one line of the job's status.jsonl. A line read twice changes nothing."""
    step = job.step(str(report.get("step")))
    status = report.get("status")
    if step is None or step.status in ENDED or step.status == status:
        return job
    time = str(report.get("time") or now.isoformat())
    if status == "Running":
        changed = replace(step, status="Running", started_at=time)
    elif status in ("Completed", "Failed"):
        changed = replace(
            step, status=status, started_at=step.started_at or time, ended_at=time, error=report.get("error")
        )
    else:
        return job
    return _with_step(job, changed, now)


def failed(job: Job, code: str, message: str, now: datetime) -> Job:
    """End the job with a reason. A step that was running failed with it; those that never ran are canceled.

    A job that somebody wants to end is canceled instead.
    """
    if job.status == "CancelRequested":
        return canceled(job, now)
    reason = {"code": code, "message": message}
    for step in job.steps:
        if step.status == "Running":
            job = _with_step(job, replace(step, status="Failed", ended_at=now.isoformat(), error=reason), now)
    return replace(enter(_cancel_open_steps(job, now), "Failed", now), error=reason)


def request_cancel(job: Job, now: datetime) -> Job:
    """Ask for the end of the job; asking twice is asking once. Raises: JobEndedError: it has ended."""
    return job if job.status == "CancelRequested" else enter(job, "CancelRequested", now)


def canceled(job: Job, now: datetime) -> Job:
    return enter(_cancel_open_steps(job, now), "Canceled", now)


def outcome(job: Job, exit_code: int | None, last_words: str) -> Outcome | None:
    """Judge a phase whose process is over by what its steps reported and by its exit code, where that is known.

    Returns: None when nothing tells how it ended: then the job was interrupted and has to be started again.
    """
    step = next((step for step in job.steps if step.status == "Failed"), None)
    if step is not None:
        error = step.error or {}
        return Outcome(
            str(error.get("code") or "UserError"), failed_nodes(job, str(error.get("message") or last_words))
        )
    finished = all(step.status == "Completed" for step in job.phase_steps)
    if exit_code is None:
        return Outcome() if finished else None
    if exit_code == 0 and finished:
        return Outcome()
    ended = "before its last step" if exit_code == 0 else f"with exit code {exit_code}"
    return Outcome("UserError", failed_nodes(job, f"The job's process ended {ended}. {last_words}".strip()))


def failed_nodes(job: Job, reason: str) -> str:
    """Say which nodes failed, in the words Azure uses for a pipeline, then why."""
    nodes = ", ".join(f"/{step.name}" for step in job.steps if step.status in ("Failed", "Running"))
    return f"Pipeline has failed child jobs. Failed nodes: {nodes}. {reason}" if nodes else reason


def published(job: Job, ids: Collection[str]) -> Job:
    """Forget these changes: they are in the outbox."""
    return replace(job, changes=tuple(change for change in job.changes if change["id"] not in ids))


def output_folder(services: Services, job_name: str, output_name: str) -> Path | None:
    """Find the folder behind azureml://jobs/{job_name}/outputs/{output_name}.

    Returns: None when there is no such job or output, when it was lost, or what makes it has not completed.
    """
    doc = services.store.get(KIND, job_name)
    if doc is None or output_name not in doc["outputs"]:
        return None
    if doc["status"] != "Completed" and not _has_only_failed_behind(doc):
        return None
    if faults.has_lost_outputs(services.config.state_dir, job_name):
        return None
    folder = job_dir(services, job_name) / "outputs" / doc["outputs"][output_name]
    return folder if folder.is_dir() else None


def _has_only_failed_behind(doc: dict[str, Any]) -> bool:
    """Tell whether everything was done but the node behind the training, which is the last step."""
    steps = [step["status"] for step in doc["steps"]]
    return doc["status"] == "Failed" and bool(doc.get("after")) and set(steps[:-1]) == {"Completed"}


def job_dir(services: Services, job_name: str) -> Path:
    return services.config.state_dir / "azureml" / "jobs" / job_name


def _cancel_open_steps(job: Job, now: datetime) -> Job:
    for step in job.steps:
        if step.status not in ENDED:
            job = _with_step(job, replace(step, status="Canceled", ended_at=now.isoformat()), now)
    return job


def _with_step(job: Job, changed: Step, now: datetime) -> Job:
    steps = tuple(changed if step.name == changed.name else step for step in job.steps)
    job = replace(job, steps=steps)
    # A step that never ran is no run for anybody to hear of.
    return _announce(job, changed.run_id, changed.status, now) if changed.started_at else job


def _announce(job: Job, run_id: str, status: str, now: datetime) -> Job:
    revision = job.revision + 1
    if status not in ANNOUNCED:
        return replace(job, revision=revision)
    event_id = str(uuid.uuid5(_RUN_IDS, f"{job.run_uuid}/{run_id}/{status}/{revision}"))
    change = {"id": event_id, "run_id": run_id, "status": status, "time": now.isoformat()}
    return replace(job, revision=revision, changes=(*job.changes, change))
