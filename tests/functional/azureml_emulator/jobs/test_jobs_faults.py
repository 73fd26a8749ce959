"""Faults of jobs: failing steps, a lost node, lost outputs, an answer that comes after the end."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Model
from azure.core.exceptions import HttpResponseError

from local.azureml import identity
from local.azureml.server import Emulator
from local.faults import changes

Submit = Callable[..., str]
WaitFor = Callable[..., str]
Ask = Callable[..., Any]


@pytest.fixture
def ask(emulator: Emulator) -> Iterator[Ask]:
    state_dir = emulator.services.config.state_dir
    yield lambda **faults: changes.add(state_dir, faults)
    changes.clear(state_dir)


def test_a_step_fails_by_a_part_of_its_name_for_one_job_only(
    ask: Ask, client: MLClient, submit: Submit, wait_for: WaitFor
) -> None:
    ask(job={"step": "preprocess", "message": "no rows left", "times": 1})
    first, second = submit(), submit()
    assert {wait_for(first), wait_for(second)} == {"Failed", "Completed"}
    failed = first if wait_for(first) == "Failed" else second
    message = client.jobs._runs_operations.get_run(failed).error.error.message
    assert "/chat_completion_datapreprocess" in message
    assert "no rows left" in message


def test_only_jobs_of_a_name_fail(
    ask: Ask, make_pipeline: Any, client: MLClient, upload: Any, wait_for: WaitFor
) -> None:
    ask(job={"step": "ft_nlp_common_validation", "match": "^unlucky-"})
    names = ("unlucky-job", "lucky-job")
    for name in names:
        client.jobs.create_or_update(make_pipeline(upload(), name=name))
    assert [wait_for(name) for name in names] == ["Failed", "Completed"]


def test_a_preempted_job_is_queued_and_runs_again(
    ask: Ask, client: MLClient, submit: Submit, wait_for: WaitFor, emulator: Emulator, event_grid: Any
) -> None:
    ask(preempt={"step": "finetune", "times": 1})
    name = submit(seconds=60, once=True)
    assert wait_for(name) == "Completed"
    event_grid.wait_for(name, "RunCompleted", "completed")
    assert event_grid.of_run(name).count("running") == 2
    assert event_grid.of_run(name).count("RunCompleted") == 1
    steps = client.jobs.list(parent_job_name=name)
    assert {step.status for step in steps} == {"Completed"}
    assert [one["used"] for one in changes.listing(emulator.services.config.state_dir)] == [1]


def test_lost_outputs_cannot_be_registered(ask: Ask, client: MLClient, submit: Submit, wait_for: WaitFor) -> None:
    name = submit()
    wait_for(name)
    ask(lose_outputs=True)
    model = Model(name="lost", version="1", path=f"azureml://jobs/{name}/outputs/trained_model", type="mlflow_model")
    with pytest.raises(HttpResponseError, match="Could not find output trained_model"):
        client.models.create_or_update(model)


def test_a_submit_returns_after_its_jobs_completion_was_told(
    ask: Ask, client: MLClient, make_pipeline: Any, upload: Any, event_grid: Any
) -> None:
    ask(requests={"method": "PUT", "path": "/jobs/[^/]+$", "when": "after", "until": "job_ended", "delay_s": 120})
    job = client.jobs.create_or_update(make_pipeline(upload()))
    assert "RunCompleted" in event_grid.of_run(str(job.name))
    assert client.jobs.get(str(job.name)).status == "Completed"


def test_an_unreachable_workspace_is_reached_by_its_own_jobs(
    ask: Ask, submit: Submit, wait_for: WaitFor, emulator: Emulator
) -> None:
    name = submit()
    wait_for(name)
    ask(requests={"plane": "data", "path": "/mlflow/", "drop": True})
    job = json.loads((emulator.services.config.state_dir / "azureml" / "jobs" / name / "job.json").read_text())

    def asked(token: str) -> requests.Response:
        return requests.get(
            f"{job['mlflow']['tracking_uri']}/api/2.0/mlflow/runs/get",
            params={"run_id": name},
            headers={"Authorization": f"Bearer {token}"},
            verify=job["mlflow"]["ca_bundle"],
            timeout=30,
        )

    assert asked(job["mlflow"]["token"]).status_code == 200
    with pytest.raises(requests.ConnectionError):
        asked(identity.issue(emulator.services, "https://ml.azure.com"))
