import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from local.azureml.http import AzureError
from local.azureml.jobs import state, wire
from local.azureml.jobs.state import Job

MakeJob = Callable[..., Job]
BASE = "https://127.0.0.1:1"


def test_put_answer_has_the_recorded_keys(make_job: MakeJob, recorded: Callable[[str], Any]) -> None:
    body = recorded("job-put-201-notstarted")
    written = wire.job_json(make_job(), BASE)
    assert written.keys() == body.keys()
    assert written["properties"].keys() == body["properties"].keys()
    assert written["properties"]["properties"] == {}
    for kind, service in body["properties"]["services"].items():
        assert written["properties"]["services"][kind].keys() == service.keys()


def test_completed_job_still_hides_where_its_output_is(
    make_job: MakeJob, now: datetime, recorded: Callable[[str], Any]
) -> None:
    job = replace(make_job(status="Completed"), started_at=now.isoformat(), ended_at=now.isoformat())
    written = wire.job_json(job, BASE)["properties"]
    body = recorded("job-get-completed")["properties"]
    assert written["outputs"]["trained_model"].keys() == body["outputs"]["job_out_path_1"].keys()
    assert written["outputs"]["trained_model"]["uri"] is None
    assert json.loads(written["properties"]["azureml.pipelines.stages"])["Execution"]["Status"] == "Finished"


def test_failed_job_tells_no_reason(make_job: MakeJob, now: datetime) -> None:
    job = state.failed(make_job(), "UserError", "the secret reason", now)
    assert "the secret reason" not in json.dumps(wire.job_json(job, BASE))


def test_child_has_no_properties(recorded: Callable[[str], Any]) -> None:
    assert wire.child_json("c", "2023").keys() == recorded("job-get-child").keys()


def test_second_put_adds_tags_and_takes_none_away(make_job: MakeJob) -> None:
    job = make_job(request={"jobs": {"a": 1}, "inputs": {}, "outputs": {}, "settings": None})
    request, tags = wire.merged_request(job, {"jobs": {"a": 1}, "tags": {"x": "1"}, "displayName": "new"})
    assert tags == {"team": "support", "x": "1"}
    assert request["displayName"] == "new"


def test_second_put_with_other_inputs_is_refused(make_job: MakeJob) -> None:
    job = make_job(request={"jobs": {"node": {"inputs": {"seed": "1"}}}})
    with pytest.raises(AzureError) as caught:
        wire.merged_request(job, {"jobs": {"node": {"inputs": {"seed": "2"}}}, "settings": {"x": 1}})
    assert caught.value.status == 400
    assert "the existing job's Settings, Jobs cannot be changed" in caught.value.message
