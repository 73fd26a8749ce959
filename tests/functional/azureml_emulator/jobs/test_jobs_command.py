"""A command node in front of the training: put by the real SDK, run for real, its results trained on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.core.exceptions import HttpResponseError

from local.azureml.server import Emulator
from tests.functional.azureml_emulator.jobs.command_jobs import COPY, NODE, Commands

WaitFor = Callable[..., str]


def test_the_training_waits_for_the_command_and_reads_its_result(
    commands: Commands, emulator: Emulator, wait_for: WaitFor
) -> None:
    name = commands.submit(COPY)
    assert wait_for(name) == "Completed"
    assert commands.results(name) == {"rows.jsonl", "train.jsonl", "a note.txt"}
    steps = commands.steps(name)
    assert (next(iter(steps)), set(steps.values()), len(steps)) == (NODE, {"Completed"}, 6)
    folder = emulator.services.config.state_dir / "azureml" / "jobs" / name
    trained_on = json.loads((folder / "job.json").read_text())["inputs"]["train_file_path"]
    assert json.loads(Path(trained_on).read_text()) == {"stub": {}}
    assert (folder / "starts.txt").read_text().split() == ["start", "end"]


def test_a_command_that_fails_ends_the_job_and_keeps_only_what_was_mounted(
    commands: Commands, wait_for: WaitFor
) -> None:
    name = commands.submit(f"{COPY}; echo 'no rows at all' >&2; exit 2")
    assert wait_for(name) == "Failed"
    assert commands.results(name) == {"rows.jsonl", "a note.txt"}
    steps = commands.steps(name)
    assert (steps.pop(NODE), set(steps.values())) == ("Failed", {"Canceled"})
    said = commands.failure(name)
    assert f"Failed nodes: /{NODE}." in said
    assert "exited with status code 2" in said
    assert said.endswith("Error: no rows at all")


def test_a_mounted_file_is_kept_after_a_failure(commands: Commands, wait_for: WaitFor) -> None:
    name = commands.submit(f"{COPY}; exit 1", mode="rw_mount")
    wait_for(name)
    assert "train.jsonl" in commands.results(name)


def test_a_result_that_was_not_written_fails_the_step(commands: Commands, wait_for: WaitFor) -> None:
    name = commands.submit("true")
    assert wait_for(name) == "Failed"
    assert "Output train: the command did not write it" in commands.failure(name)


def test_the_command_runs_in_an_empty_directory_with_an_environment_of_its_own(
    commands: Commands, wait_for: WaitFor, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATASET_STORAGE", "secret")
    name = commands.submit(f"ls -A; env; python -c 'import sys; print(sys.version_info[:2])'; {COPY}")
    wait_for(name)
    log = emulator.services.config.state_dir / "azureml" / "jobs" / name / "logs" / f"{NODE}.txt"
    text = log.read_text()
    assert "secret" not in text
    assert f"AZUREML_ROOT_RUN_ID={name}\n" in text
    assert "AZURE_ML_OUTPUT_train=" in text
    assert "(3, 1" in text


def test_a_size_that_is_not_offered_is_refused_with_the_job(commands: Commands) -> None:
    with pytest.raises(HttpResponseError, match="vmSize Standard_X1 is not supported"):
        commands.submit(COPY, size="Standard_X1")


def test_an_anonymous_component_is_answered_under_another_version(commands: Commands, wait_for: WaitFor) -> None:
    name = commands.submit(COPY)
    wait_for(name)
    component_id = str(commands.client.jobs.get(name).jobs[NODE].component)
    version = component_id.rpartition("/")[2].rpartition(":")[2]
    answered = commands.client.components.get("azureml_anonymous", version=version)
    assert answered.command == COPY
    assert answered.id.endswith(f"/azureml_anonymous/versions/{version}")


def test_a_job_can_be_canceled_while_its_command_runs(commands: Commands, client: MLClient, wait_for: WaitFor) -> None:
    name = commands.submit(f"sleep 60; {COPY}")
    wait_for(name, "Running")
    client.jobs.begin_cancel(name).wait(timeout=20)
    assert wait_for(name) == "Canceled"
    assert commands.results(name) == {"rows.jsonl"}
