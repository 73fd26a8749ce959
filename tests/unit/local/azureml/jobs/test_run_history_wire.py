from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from local.azureml.jobs import state
from local.azureml.jobs.state import Job
from local.azureml.run_history import wire
from local.azureml.run_history.state import execution_log

MakeJob = Callable[..., Job]
BASE = "https://127.0.0.1:1"


def test_step_has_the_recorded_keys(make_job: MakeJob, recorded: Callable[[str], Any]) -> None:
    job = make_job()
    body = recorded("runhistory-run-get")
    run = wire.step_run(job, job.steps[3], BASE)
    assert run.keys() == body.keys()
    assert (run["displayName"], run["runType"], run["rootRunId"]) == ("chat_completion_finetune", body["runType"], "j1")


def test_children_have_the_recorded_keys(make_job: MakeJob, recorded: Callable[[str], Any]) -> None:
    job = make_job()
    for body in recorded("runhistory-children")["value"]:
        assert wire.step_run(job, job.steps[0], BASE).keys() == body.keys()


def test_run_data_has_the_recorded_keys_and_names_the_output(
    make_job: MakeJob, now: datetime, recorded: Callable[[str], Any]
) -> None:
    job = replace(make_job(status="Completed"), started_at=now.isoformat(), ended_at=now.isoformat())
    body = recorded("runhistory-rundata")
    written = wire.run_data(job, BASE)
    assert written.keys() == body.keys()
    assert written["runMetadata"].keys() == body["runMetadata"].keys()
    output = written["runMetadata"]["outputs"]["trained_model"]
    assert output["assetId"].endswith(f"/azureml_{job.steps[-1].run_id}_output_data_mlflow_model_folder/versions/1")


def test_reason_stands_on_the_pipeline_and_on_its_step(make_job: MakeJob, now: datetime) -> None:
    job = state.begin_attempt(make_job(status="Queued"), now, {})
    line = {"step": "chat_completion_finetune", "status": "Running"}
    job = state.failed(state.step_reported(job, line, now), "UserError", "loss is NaN", now)
    for run in (wire.pipeline_run(job, BASE), wire.step_run(job, job.steps[3], BASE)):
        assert run["status"] == "Failed"
        assert run["error"]["error"]["message"] == "loss is NaN"
        assert run["error"]["error"]["code"] == "UserError"


def test_duration_is_written_as_the_service_writes_it(make_job: MakeJob, now: datetime) -> None:
    ended = (now + timedelta(hours=1, minutes=2, seconds=3.5)).isoformat()
    job = replace(make_job(status="Completed"), started_at=now.isoformat(), ended_at=ended)
    assert wire.pipeline_run(job, BASE)["duration"] == "01:02:03.5000000"


def test_execution_log_only_grows(make_job: MakeJob, now: datetime) -> None:
    job = state.begin_attempt(make_job(status="Queued"), now, {})
    before = execution_log(job)
    job = state.step_reported(job, {"step": "ft_nlp_common_validation", "status": "Running"}, now)
    job = state.failed(job, "UserError", "x", now)
    assert execution_log(job).startswith(before)
    assert execution_log(job).endswith("Job is Failed.\n")
