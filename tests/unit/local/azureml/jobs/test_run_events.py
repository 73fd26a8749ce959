import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from local.azureml.events import run_events
from local.azureml.jobs import state
from local.azureml.jobs.state import Job

MakeJob = Callable[..., Job]
RECORDED = Path(__file__).parents[4] / "recorded"


def example(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((RECORDED / f"{name}.eventgrid.json").read_text())
    return body


def completed(job: Job, now: datetime) -> Job:
    job = state.begin_attempt(job, now, {})
    job = state.step_reported(job, {"step": "ft_nlp_model_converter", "status": "Running"}, now)
    job = state.step_reported(job, {"step": "ft_nlp_model_converter", "status": "Completed"}, now)
    return state.enter(state.enter(job, "Finalizing", now), "Completed", now)


@pytest.mark.parametrize("whose", ["pipeline", "step"])
def test_completion_raises_both_events_in_the_documented_shape(make_job: MakeJob, now: datetime, whose: str) -> None:
    job = completed(make_job(status="Queued"), now)
    run_id = job.name if whose == "pipeline" else job.steps[-1].run_id
    change = next(c for c in job.changes if c["status"] == "Completed" and c["run_id"] == run_id)
    changed, done = run_events(job, change)
    for event, name in ((changed, "run_status_changed"), (done, "run_completed")):
        documented = example(name)
        assert event.keys() == documented.keys()
        assert event["data"].keys() == documented["data"].keys()
        assert event["eventType"] == documented["eventType"]
        assert event["subject"] == f"experiments/e1/runs/{run_id}"
    assert changed["data"]["runStatus"] == "completed"
    assert changed["id"] != done["id"]


def test_failure_raises_its_status_only(make_job: MakeJob, now: datetime) -> None:
    job = state.failed(make_job(), "UserError", "x", now)
    events = [event for change in job.changes for event in run_events(job, change)]
    assert [event["data"]["runStatus"] for event in events] == ["failed"]


def test_pipeline_event_carries_the_jobs_tags(make_job: MakeJob, now: datetime) -> None:
    job = completed(make_job(status="Queued"), now)
    (event,) = run_events(job, job.changes[0])
    assert event["data"]["runTags"] == {"team": "support"}
