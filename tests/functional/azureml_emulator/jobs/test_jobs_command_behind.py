"""A command node behind the training: it waits for the model and reads it, in the environment that trains."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Model
from azure.core.exceptions import HttpResponseError

from local.azureml.server import Emulator
from tests.functional.azureml_emulator.jobs.command_jobs import Commands

WaitFor = Callable[..., str]
LOOK = (
    "(ls ${{inputs.candidate}}; echo base ${{inputs.base}}; echo $[[live ${{inputs.live}}]]; env) > ${{outputs.seen}}"
)


def test_it_reads_the_trained_model_when_the_training_has_ended(
    commands: Commands, wait_for: WaitFor, emulator: Emulator
) -> None:
    name = commands.submit_with_a_look_at_the_model(LOOK)
    assert wait_for(name) == "Completed"
    seen = commands.seen(name).splitlines()
    assert seen[0] == "MLmodel"
    assert f"base {emulator.services.config.cache_dir}/models/tiny-random" in seen
    assert not any(line.startswith("live") for line in seen)
    steps = commands.steps(name)
    assert (list(steps)[-1], set(steps.values()), len(steps)) == ("look", {"Completed"}, 6)


def test_what_it_logs_goes_to_its_own_run(commands: Commands, wait_for: WaitFor) -> None:
    name = commands.submit_with_a_look_at_the_model(LOOK)
    wait_for(name)
    told = dict(line.partition("=")[::2] for line in commands.seen(name).splitlines())
    children = {child.display_name: child.name for child in commands.client.jobs.list(parent_job_name=name)}
    assert told["MLFLOW_RUN_ID"] == told["AZUREML_RUN_ID"] == children["look"]
    assert told["MLFLOW_TRACKING_URI"].startswith("https://127.0.0.1:")
    assert Path(told["REQUESTS_CA_BUNDLE"]).is_file()


def test_a_registered_model_is_an_input_like_the_trained_one(
    commands: Commands, client: MLClient, wait_for: WaitFor
) -> None:
    first = commands.submit_with_a_look_at_the_model(LOOK)
    wait_for(first)
    model = Model(path=f"azureml://jobs/{first}/outputs/trained_model", type="mlflow_model", name="m", version="1")
    client.models.create_or_update(model)
    name = commands.submit_with_a_look_at_the_model(LOOK, live="azureml:m:1")
    assert wait_for(name) == "Completed"
    assert f"{first}/outputs/mlflow_model_folder" in commands.seen(name)


def test_a_model_that_is_not_there_is_refused_with_the_job(commands: Commands) -> None:
    with pytest.raises(HttpResponseError, match="Could not find asset"):
        commands.submit_with_a_look_at_the_model(LOOK, live=f"azureml:m{uuid.uuid4().hex[:6]}:1")


def test_its_failure_is_the_jobs(commands: Commands, wait_for: WaitFor) -> None:
    name = commands.submit_with_a_look_at_the_model("echo 'no memory' >&2; exit 3")
    assert wait_for(name) == "Failed"
    steps = commands.steps(name)
    assert steps.pop("look") == "Failed"
    assert set(steps.values()) == {"Completed"}
    assert commands.failure(name).endswith("Error: no memory")


def test_a_job_can_be_canceled_while_it_runs(commands: Commands, client: MLClient, wait_for: WaitFor) -> None:
    name = commands.submit_with_a_look_at_the_model(f"sleep 60; {LOOK}")
    deadline = time.monotonic() + 120
    while commands.steps(name)["look"] != "Running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    client.jobs.begin_cancel(name).wait(timeout=20)
    assert wait_for(name) == "Canceled"
    assert commands.steps(name)["look"] == "Canceled"
