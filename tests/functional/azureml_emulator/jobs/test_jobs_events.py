"""What Event Grid is told of jobs."""

from collections.abc import Callable
from typing import Any

from azure.ai.ml import MLClient

from local import names

Submit = Callable[..., str]
WaitFor = Callable[..., str]


def test_completed_job_and_each_of_its_steps_raise_their_events_once(
    client: MLClient, submit: Submit, wait_for: WaitFor, event_grid: Any
) -> None:
    name = submit()
    wait_for(name)
    event_grid.wait_for(name, "RunCompleted", "completed")
    assert event_grid.paths == {f"/topics/{names.WORKSPACE_TOPIC}/api/events"}
    for run_id in (name, *(child.name for child in client.jobs.list(parent_job_name=name))):
        assert sorted(event_grid.of_run(run_id)) == ["RunCompleted", "completed", "running"]
    assert {event["topic"] for event in event_grid.events} == {names.WORKSPACE_ID}


def test_failed_and_canceled_jobs_raise_no_completion(
    submit: Submit, wait_for: WaitFor, event_grid: Any, client: Any
) -> None:
    failed, canceled = submit(crash="ft_nlp_common_validation"), submit(seconds=60)
    wait_for(failed)
    wait_for(canceled, "Running")
    client.jobs.begin_cancel(canceled).wait(timeout=20)
    wait_for(canceled)
    event_grid.wait_for(canceled, "canceled")
    assert event_grid.of_run(failed) == ["running", "failed"]
    assert event_grid.of_run(canceled) == ["running", "canceled"]


def test_what_event_grid_could_not_take_is_sent_later(submit: Submit, wait_for: WaitFor, event_grid: Any) -> None:
    event_grid.down = True
    name = submit()
    wait_for(name)
    assert event_grid.of_run(name) == []
    event_grid.down = False
    event_grid.wait_for(name, "RunCompleted", "completed")
    assert sorted(event_grid.of_run(name)) == ["RunCompleted", "completed", "running"]
