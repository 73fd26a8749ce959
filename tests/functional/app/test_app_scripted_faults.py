"""The faults that a person would script, one after the other: each run comes to what the fault demands."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from local.faults import scenarios
from shared.errors import RunBusyError
from shared.runs.lifecycle import advance, advance_all
from shared.runs.record import Run
from tests.functional.app.driving import LIFE, App, states


def ended(app: App, run: Run) -> None:
    """Wait until the run's job has ended, without the app noticing."""
    deadline = time.monotonic() + 60
    while app.job_status(run.id) not in ("Completed", "Failed"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def minutes_pass(app: App, run: Run, minutes: int) -> list[int]:
    """Let the timer tick once a minute; return how many attempts had been made at each tick."""
    attempts = []
    for _ in range(minutes):
        app.clock.forward(minutes=1)
        advance_all(app.services, trigger="timer")
        attempts.append(app.run(run).attempts)
    return attempts


def test_a_job_that_fails_in_preprocess_fails_the_run_with_its_words(app: App) -> None:
    app.cloud.faults(job={"step": "preprocess", "message": "No space left on device", "times": 1})
    run = app.until(app.received(), "failed", "live")
    assert run.failure is not None
    assert (run.failure.state, run.failure.retry_helps) == ("training", True)
    assert "No space left on device" in run.failure.message
    assert app.endpoint_called(str(run.endpoint)) is None


def test_two_minutes_of_429_cost_a_run_some_attempts_and_nothing_else(app: App) -> None:
    run = app.received()
    app.cloud.faults(**scenarios.busy(600, retry_after=20))
    advance_all(app.services, trigger="timer")
    attempts = minutes_pass(app, run, 2)
    assert app.run(run).state == "prepared"
    assert 1 <= attempts[-1] <= 4, attempts
    app.cloud.faults()
    app.clock.forward(minutes=10)
    (run,) = app.live(run)
    assert tuple(states(run)) == LIFE
    app.assert_one_of_everything(run)


def test_five_minutes_without_a_workspace_end_no_run(app: App) -> None:
    waiting, training = app.received(), app.until(app.received(), "training", "live")
    app.cloud.faults(**scenarios.unreachable(600))
    minutes_pass(app, waiting, 5)
    assert app.run(waiting).state == "prepared"
    assert app.run(training).failure is None
    app.cloud.faults()
    app.clock.forward(minutes=10)
    for run in app.live(waiting, training):
        assert tuple(states(run)) == LIFE
        app.assert_one_of_everything(run)


def test_a_completion_that_no_event_tells_of_is_found_by_the_timer(app: App) -> None:
    run = app.until(app.received(), "training", "trained")
    ended(app, run)
    assert run.id in advance_all(app.services, trigger="timer")
    seen = app.run(run)
    assert "registered" in states(seen)
    assert seen.history[-1].trigger == "timer"


def test_a_completion_that_is_told_before_the_submit_has_returned_makes_no_second_job(app: App) -> None:
    run = app.received()
    app.cloud.faults(**scenarios.early_event())
    with ThreadPoolExecutor() as pool:
        submitting = pool.submit(advance, app.services, run.id, trigger="test")
        deadline = time.monotonic() + 60
        while not app.jobs_of(run) or app.job_status(run.id) != "Completed":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        # Either the submit is still under way, and the event finds the run busy, or it has just returned.
        try:
            app.advance(run)
        except RunBusyError as busy:
            assert run.id in str(busy)
        submitting.result()
    (run,) = app.live(run)
    assert tuple(states(run)) == LIFE
    app.assert_one_of_everything(run)


def test_a_stumble_among_the_many_reads_of_a_jobs_metrics_costs_no_attempt(app: App) -> None:
    run = app.until(app.received(), "training", "trained")
    ended(app, run)
    stumbles = {"plane": "data", "method": "GET", "status": 500, "probability": 0.2, "seed": 4}
    app.cloud.faults(requests=[stumbles])
    run = app.advance(run)
    assert "registered" in states(run), run.waiting_for
    assert run.metrics["train_loss"] == 1.5


@pytest.mark.parametrize("where", ["workspace", "region"])
def test_a_name_that_somebody_else_has_taken_fails_the_run_and_leaves_theirs_alone(app: App, where: str) -> None:
    run = app.received()
    app.cloud.faults(**scenarios.taken(f"{run.project}-[0-9a-f]+", where))
    for _ in range(10):  # a conflict is looked at again, in case that the name is the run's own
        app.clock.forward(minutes=10)
        run = app.until(run, "failed", "deploying", "live")
        if run.state == "failed":
            break
        run = app.advance(run)
    assert run.failure is not None
    assert run.failure.state == "deploying"
    theirs = app.endpoint_called(str(run.endpoint))
    assert (theirs is not None) == (where == "workspace")
    if theirs is not None:
        assert theirs["tags"] == {"owner": "somebody-else"}


def test_a_deployment_without_quota_fails_the_run_and_nothing_of_it_bills(app: App) -> None:
    app.cloud.faults(deployment={"quota": True})
    run = app.until(app.received(), "failed", "live")
    assert run.failure is not None
    assert (run.failure.state, run.failure.reason) == ("deploying", "quota")
    deadline = time.monotonic() + 120
    while app.endpoint(run) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("minutes", [3, -3])
def test_a_clock_that_is_three_minutes_off_changes_nothing(app: App, minutes: int) -> None:
    app.clock.forward(minutes=minutes)
    app.cloud.faults(**scenarios.skew(-60 * minutes))
    run = app.one_live()
    assert tuple(states(run)) == LIFE
    assert all(before.at <= after.at for before, after in itertools.pairwise(run.history))
    app.assert_one_of_everything(run)
