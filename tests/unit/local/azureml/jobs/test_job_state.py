import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from local.azureml.jobs import state
from local.azureml.jobs.state import Job

MakeJob = Callable[..., Job]


def running(make_job: MakeJob, now: datetime) -> Job:
    job = make_job()
    for status in ("Preparing", "Queued"):
        job = state.enter(job, status, now)
    return state.begin_attempt(job, now, {"local.engine": "fast"})


def report(step: str, status: str, **more: object) -> dict[str, object]:
    return {"time": "2026-11-24T12:00:01+00:00", "step": step, "status": status, "error": None, **more}


def with_steps_completed(job: Job, now: datetime) -> Job:
    for step in job.steps:
        job = state.step_reported(job, report(step.name, "Running"), now)
        job = state.step_reported(job, report(step.name, "Completed"), now)
    return job


def test_document_survives_json(make_job: MakeJob, now: datetime) -> None:
    job = with_steps_completed(running(make_job, now), now)
    assert Job.from_doc(json.loads(json.dumps(job.to_doc()))) == job


def test_walks_through_every_status_in_order(make_job: MakeJob, now: datetime) -> None:
    job = with_steps_completed(running(make_job, now), now)
    job = state.enter(state.enter(job, "Finalizing", now), "Completed", now)
    assert (job.status, job.ended_at) == ("Completed", now.isoformat())


def test_ended_job_never_moves_again(make_job: MakeJob, now: datetime) -> None:
    job = state.failed(running(make_job, now), "UserError", "broken", now)
    for move in (state.request_cancel, state.canceled):
        with pytest.raises(state.JobEndedError):
            move(job, now)
    with pytest.raises(state.JobEndedError):
        state.enter(job, "Completed", now)


def test_steps_cannot_be_skipped(make_job: MakeJob, now: datetime) -> None:
    with pytest.raises(state.IllegalTransitionError, match="from NotStarted to Completed"):
        state.enter(make_job(), "Completed", now)


def test_rests_until_the_pause_is_over(make_job: MakeJob, now: datetime) -> None:
    assert not state.rested(make_job(), now + timedelta(seconds=1), timedelta(seconds=2))
    assert state.rested(make_job(), now + timedelta(seconds=2), timedelta(seconds=2))


def test_running_adds_tags_and_keeps_the_users(make_job: MakeJob, now: datetime) -> None:
    assert running(make_job, now).tags == {"team": "support", "local.engine": "fast"}


def test_report_read_twice_changes_nothing(make_job: MakeJob, now: datetime) -> None:
    line = report("chat_completion_finetune", "Completed")
    once = state.step_reported(running(make_job, now), line, now)
    assert state.step_reported(once, line, now) is once
    assert state.step_reported(once, report("chat_completion_finetune", "Running"), now) is once


def test_unknown_reports_are_ignored(make_job: MakeJob, now: datetime) -> None:
    job = running(make_job, now)
    for line in (report("no such step", "Running"), report("chat_completion_finetune", "Odd"), {}):
        assert state.step_reported(job, line, now) is job


def test_second_attempt_begins_its_steps_anew_under_the_same_run_ids(make_job: MakeJob, now: datetime) -> None:
    first = with_steps_completed(running(make_job, now), now)
    second = state.begin_attempt(first, now, {})
    assert {step.status for step in second.steps} == {"NotStarted"}
    assert [step.run_id for step in second.steps] == [step.run_id for step in first.steps]
    assert (second.attempt, second.status) == (2, "Running")


def test_each_change_is_announced_once_with_its_own_id(make_job: MakeJob, now: datetime) -> None:
    job = with_steps_completed(running(make_job, now), now)
    job = state.enter(state.enter(job, "Finalizing", now), "Completed", now)
    told = [(change["run_id"], change["status"]) for change in job.changes]
    assert told.count(("j1", "Running")) == told.count(("j1", "Completed")) == 1
    assert len(told) == 2 + 2 * len(job.steps) == len({change["id"] for change in job.changes})


def test_published_changes_are_forgotten_and_newer_ones_kept(make_job: MakeJob, now: datetime) -> None:
    job = running(make_job, now)
    ids = {change["id"] for change in job.changes}
    job = state.step_reported(job, report("ft_nlp_common_validation", "Running"), now)
    assert [change["status"] for change in state.published(job, ids).changes] == ["Running"]


def test_failure_fails_the_running_step_and_cancels_the_rest(make_job: MakeJob, now: datetime) -> None:
    job = state.step_reported(running(make_job, now), report("ft_nlp_common_validation", "Completed"), now)
    job = state.step_reported(job, report("chat_completion_model_import", "Running"), now)
    job = state.failed(job, "UserError", "out of memory", now)
    assert [step.status for step in job.steps] == ["Completed", "Failed", "Canceled", "Canceled", "Canceled"]
    assert job.steps[1].error == job.error == {"code": "UserError", "message": "out of memory"}


def test_failure_of_an_unwanted_job_is_its_cancellation(make_job: MakeJob, now: datetime) -> None:
    job = state.request_cancel(running(make_job, now), now)
    assert state.failed(job, "UserError", "killed", now).status == "Canceled"


def test_cancel_twice_is_cancel_once(make_job: MakeJob, now: datetime) -> None:
    job = state.request_cancel(running(make_job, now), now)
    assert state.request_cancel(job, now) is job


@pytest.mark.parametrize("exit_code", [0, None])
def test_all_steps_completed_is_success(make_job: MakeJob, now: datetime, exit_code: int | None) -> None:
    job = with_steps_completed(running(make_job, now), now)
    assert state.outcome(job, exit_code, "") == state.Outcome()


def test_unfinished_without_exit_code_was_interrupted(make_job: MakeJob, now: datetime) -> None:
    assert state.outcome(running(make_job, now), None, "") is None


def test_failed_step_gives_its_own_reason(make_job: MakeJob, now: datetime) -> None:
    line = report("chat_completion_finetune", "Failed", error={"code": "UserError", "message": "loss is NaN"})
    outcome = state.outcome(state.step_reported(running(make_job, now), line, now), None, "")
    assert outcome is not None and outcome.code == "UserError"
    assert outcome.message == "Pipeline has failed child jobs. Failed nodes: /chat_completion_finetune. loss is NaN"


def test_crash_without_a_report_tells_exit_code_and_last_words(make_job: MakeJob, now: datetime) -> None:
    job = state.step_reported(running(make_job, now), report("chat_completion_finetune", "Running"), now)
    outcome = state.outcome(job, -9, "MemoryError")
    assert outcome is not None
    assert "/chat_completion_finetune" in outcome.message and outcome.message.endswith("exit code -9. MemoryError")


def test_success_needs_every_step(make_job: MakeJob, now: datetime) -> None:
    outcome = state.outcome(running(make_job, now), 0, "")
    assert outcome is not None and outcome.code == "UserError"


def with_command(make_job: MakeJob, now: datetime) -> Job:
    """A job whose command node is running, in front of the component's steps."""
    steps = (state.Step("make_rows", "rows", "1", state.step_run_id("j1", "make_rows")), *make_job().steps)
    job = make_job(command={"node": "make_rows"}, steps=steps, status="Queued")
    return state.begin_attempt(job, now, {})


def test_command_node_is_a_phase_of_its_own(make_job: MakeJob, now: datetime) -> None:
    job = with_command(make_job, now)
    assert (job.current_command, [step.name for step in job.phase_steps]) == (job.command, ["make_rows"])
    assert state.outcome(job, 0, "") != state.Outcome()
    job = state.step_reported(job, report("make_rows", "Completed"), now)
    assert state.outcome(job, 0, "") == state.Outcome()
    job = state.next_phase(job, now)
    assert (job.current_command, job.attempt, len(job.phase_steps)) == (None, 0, len(job.steps) - 1)


def test_training_that_starts_anew_keeps_what_the_command_did(make_job: MakeJob, now: datetime) -> None:
    job = state.step_reported(with_command(make_job, now), report("make_rows", "Completed"), now)
    job = state.begin_attempt(state.next_phase(job, now), now, {})
    job = state.step_reported(job, report("ft_nlp_common_validation", "Completed"), now)
    again = state.begin_attempt(job, now, {})
    assert [step.status for step in again.steps[:2]] == ["Completed", "NotStarted"]
    assert again.attempt == 2


def test_document_of_an_older_job_has_no_command(make_job: MakeJob) -> None:
    doc = make_job().to_doc()
    for new in ("command", "phase"):
        del doc[new]
    assert Job.from_doc(doc).phase_steps == make_job().steps


def test_a_command_behind_the_training_is_the_last_phase(make_job: MakeJob, now: datetime) -> None:
    steps = (*with_command(make_job, now).steps, state.Step("look", "look", "1", state.step_run_id("j1", "look")))
    job = make_job(command={"node": "make_rows"}, after={"node": "look"}, steps=steps, status="Queued")
    seen = []
    for _ in range(3):
        job = state.begin_attempt(job, now, {})
        seen.append((job.current_command, len(job.phase_steps), job.in_last_phase))
        job = state.next_phase(job, now)
    assert seen == [({"node": "make_rows"}, 1, False), (None, len(steps) - 2, False), ({"node": "look"}, 1, True)]
    alone = make_job(after={"node": "look"}, steps=steps[1:])
    assert (alone.current_command, len(alone.phase_steps), alone.in_last_phase) == (None, len(steps) - 2, False)
