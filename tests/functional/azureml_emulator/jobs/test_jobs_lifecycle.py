"""A job from its PUT to its end, seen by the real SDK."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.constants import ListViewType
from azure.ai.ml.entities import Data
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from local.azureml.jobs.state import output_folder
from local.azureml.server import Emulator

Submit = Callable[..., str]
WaitFor = Callable[..., str]
STEPS = [
    "ft_nlp_common_validation",
    "chat_completion_model_import",
    "chat_completion_datapreprocess",
    "chat_completion_finetune",
    "ft_nlp_model_converter",
]


def starts(emulator: Emulator, name: str) -> list[str]:
    folder = emulator.services.config.state_dir / "azureml" / "jobs" / name
    return (folder / "starts.txt").read_text().split()


def test_job_completes_with_its_output(
    emulator: Emulator, client: MLClient, make_pipeline: Any, upload: Any, wait_for: WaitFor
) -> None:
    created = client.jobs.create_or_update(make_pipeline(upload(), tags={"team": "support"}))
    assert created.status == "NotStarted"
    assert output_folder(emulator.services, created.name, "trained_model") is None
    assert wait_for(created.name) == "Completed"
    job = client.jobs.get(created.name)
    assert job.outputs["trained_model"].path is None
    assert job.tags == {
        "team": "support",
        "local.requested_model": "Phi-4",
        "local.trained_model": "tiny-random",
        "local.engine": "fast",
    }
    folder = output_folder(emulator.services, job.name, "trained_model")
    assert folder is not None and (folder / "MLmodel").is_file()
    assert output_folder(emulator.services, job.name, "nothing") is None


def test_process_gets_the_components_inputs_and_the_files(
    emulator: Emulator, client: MLClient, make_pipeline: Any, upload: Any, wait_for: WaitFor
) -> None:
    name = client.jobs.create_or_update(make_pipeline(upload(), apply_lora="true", learning_rate=0.001)).name
    wait_for(name)
    job = json.loads((emulator.services.config.state_dir / "azureml" / "jobs" / name / "job.json").read_text())
    inputs = job["inputs"]
    assert (inputs["apply_lora"], inputs["learning_rate"], inputs["lora_r"]) == ("true", "0.001", "8")
    assert inputs["train_file_path"].endswith(f"/{name}/inputs/train_file_path/train.jsonl")
    assert job["requested_model"] == "Phi-4"
    assert [step["name"] for step in job["steps"]] == STEPS


def test_steps_are_child_runs(client: MLClient, submit: Submit, wait_for: WaitFor) -> None:
    name = submit()
    wait_for(name)
    children = list(client.jobs.list(parent_job_name=name))
    assert [(child.display_name, child.status) for child in children] == [(step, "Completed") for step in STEPS]
    child = client.jobs.get(children[3].name)
    assert (child.display_name, child.status) == ("chat_completion_finetune", "Completed")


def test_second_put_answers_the_same_job_and_starts_nothing(
    emulator: Emulator, client: MLClient, make_pipeline: Any, upload: Any, wait_for: WaitFor
) -> None:
    train = upload()
    first = client.jobs.create_or_update(make_pipeline(train, name="put-twice"))
    second = client.jobs.create_or_update(make_pipeline(train, name="put-twice", tags={"again": "yes"}))
    wait_for("put-twice")
    third = client.jobs.create_or_update(make_pipeline(train, name="put-twice"))
    assert first.creation_context.created_at == second.creation_context.created_at
    assert (third.status, third.tags["again"]) == ("Completed", "yes")
    assert starts(emulator, "put-twice") == ["start", "end"]


def test_many_puts_at_once_start_one_process(
    emulator: Emulator, client: MLClient, make_pipeline: Any, upload: Any, wait_for: WaitFor
) -> None:
    job = make_pipeline(upload(), name="put-at-once")
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: client.jobs.create_or_update(job).name, range(6)))
    assert set(made) == {"put-at-once"}
    assert wait_for("put-at-once") == "Completed"
    assert starts(emulator, "put-at-once") == ["start", "end"]


def test_job_can_be_archived_and_restored(client: MLClient, submit: Submit, wait_for: WaitFor) -> None:
    name = submit()
    wait_for(name)
    client.jobs.archive(name)
    assert name not in [job.name for job in client.jobs.list()]
    assert name in [job.name for job in client.jobs.list(list_view_type=ListViewType.ARCHIVED_ONLY)]
    client.jobs.restore(name)
    assert name in [job.name for job in client.jobs.list()]


def test_train_file_may_be_a_data_asset(
    emulator: Emulator, client: MLClient, make_pipeline: Any, upload: Any, wait_for: WaitFor
) -> None:
    asset = client.data.create_or_update(Data(name="train", version="1", type="uri_file", path=upload()))
    name = client.jobs.create_or_update(make_pipeline(f"azureml:{asset.name}:{asset.version}")).name
    assert wait_for(name) == "Completed"
    assert (emulator.services.config.state_dir / "azureml" / "jobs" / name / "inputs" / "train_file_path").is_dir()


def test_second_put_with_other_inputs_is_refused(
    client: MLClient, make_pipeline: Any, upload: Any, wait_for: WaitFor
) -> None:
    name = client.jobs.create_or_update(make_pipeline(upload())).name
    with pytest.raises(HttpResponseError, match="A job with this name already exists") as caught:
        client.jobs.create_or_update(make_pipeline(upload(), name=name))
    assert caught.value.status_code == 400
    wait_for(name)


def test_failed_step_is_told_in_the_run_history_only(
    emulator: Emulator, client: MLClient, submit: Submit, wait_for: WaitFor
) -> None:
    faults = emulator.services.config.state_dir / "faults.json"
    fault = {"step": "chat_completion_finetune", "code": "UserError", "message": "CUDA out of memory"}
    faults.write_text(json.dumps({"job": fault}))
    name = submit()
    assert wait_for(name) == "Failed"
    faults.unlink()
    details = client.jobs._runs_operations.get_run_details(name)
    assert details.error.error.code == "UserError"
    assert details.error.error.message.endswith("Failed nodes: /chat_completion_finetune. CUDA out of memory")
    statuses = [child.status for child in client.jobs.list(parent_job_name=name)]
    assert statuses == ["Completed", "Completed", "Completed", "Failed", "Canceled"]
    with pytest.raises(Exception, match="CUDA out of memory"):
        client.jobs.stream(name)


def test_crash_is_a_failure_with_the_last_words(client: MLClient, submit: Submit, wait_for: WaitFor) -> None:
    name = submit(crash="chat_completion_datapreprocess")
    assert wait_for(name) == "Failed"
    message = client.jobs._runs_operations.get_run(name).error.error.message
    assert "/chat_completion_datapreprocess" in message
    assert "exit code 3. MemoryError: no memory left" in message


def test_missing_blob_fails_the_job_and_names_it(
    client: MLClient, make_pipeline: Any, upload: Any, wait_for: WaitFor
) -> None:
    upload()
    job = make_pipeline("azureml://datastores/finetune_prepared/paths/nowhere/train.jsonl")
    name = client.jobs.create_or_update(job).name
    assert wait_for(name) == "Failed"
    message = client.jobs._runs_operations.get_run_details(name).error.error.message
    assert "the blob nowhere/train.jsonl was not found in container prepared" in message


def test_cancel_ends_the_process(client: MLClient, submit: Submit, wait_for: WaitFor) -> None:
    name = submit(seconds=60)
    wait_for(name, "Running")
    client.jobs.begin_cancel(name).wait(timeout=20)
    assert wait_for(name) == "Canceled"
    assert {child.status for child in client.jobs.list(parent_job_name=name)} <= {"Completed", "Canceled"}


def test_second_job_waits_in_the_queue_and_can_be_canceled_there(
    emulator: Emulator, client: MLClient, submit: Submit, wait_for: WaitFor
) -> None:
    first = submit(seconds=120)  # longer than all of this takes on the slowest machine
    wait_for(first, "Running")
    second, third = submit(), submit()
    wait_for(second, "Queued")
    wait_for(third, "Queued")
    client.jobs.begin_cancel(second).wait(timeout=20)
    assert wait_for(second) == "Canceled"
    assert client.jobs.get(first).status == "Running"
    client.jobs.begin_cancel(first).wait(timeout=20)
    assert (wait_for(first), wait_for(third)) == ("Canceled", "Completed")
    assert not (emulator.services.config.state_dir / "azureml" / "jobs" / second / "starts.txt").exists()


def test_cancel_of_a_finished_job_is_the_recorded_refusal(client: MLClient, submit: Submit, wait_for: WaitFor) -> None:
    name = submit()
    wait_for(name)
    with pytest.raises(HttpResponseError, match="is in terminal status, it can't be canceled") as caught:
        client.jobs.begin_cancel(name)
    assert caught.value.status_code == 400
    info = {item["type"]: item["info"] for item in json.loads(caught.value.response.text())["error"]["additionalInfo"]}
    assert "CancelPipelineRunInTerminalStatus" in json.dumps(info["InnerError"])


def test_stream_prints_the_story_and_ends(
    client: MLClient, submit: Submit, wait_for: WaitFor, capsys: pytest.CaptureFixture[str]
) -> None:
    name = submit(seconds=1)
    client.jobs.stream(name)
    printed = capsys.readouterr().out
    assert "Streaming logs/azureml/executionlogs.txt" in printed
    assert "Step ft_nlp_common_validation is Running." in printed
    assert wait_for(name) == "Completed"


def test_jobs_are_listed_newest_first(client: MLClient, submit: Submit, wait_for: WaitFor) -> None:
    first, second = submit(), submit()
    names = [job.name for job in client.jobs.list()]
    assert names.index(second) < names.index(first)
    wait_for(first)
    wait_for(second)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"num_train_epochs": -5}, "num_train_epochs must be >= 1"),
        ({"lr_scheduler_type": "nope"}, "lr_scheduler_type must be one of"),
        ({"learning_rate": "abc"}, "learning_rate must be of type number"),
        ({"compute_finetune": "nowhere"}, "Unknown compute target 'nowhere'"),
    ],
)
def test_pipeline_that_cannot_run_is_refused(
    client: MLClient, make_pipeline: Any, upload: Any, inputs: dict[str, Any], said: str
) -> None:
    job = make_pipeline(upload(), **inputs)
    with pytest.raises(HttpResponseError, match=said):
        client.jobs.create_or_update(job)
    with pytest.raises(ResourceNotFoundError):
        client.jobs.get(job.name)


def test_unknown_datastore_is_refused(client: MLClient, make_pipeline: Any, emulator: Emulator) -> None:
    job = make_pipeline("azureml://datastores/nope/paths/train.jsonl")
    with pytest.raises(ResourceNotFoundError, match="Could not find datastore: nope"):
        client.jobs.create_or_update(job)
