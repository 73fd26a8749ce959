"""A person cancels: whatever the run was about to bill for goes, and what has ended is not touched."""

import time
from dataclasses import replace

import pytest

from shared.errors import ActionRefusedError, RunNotFoundError
from shared.runs import actions
from shared.runs.lifecycle import advance, advance_all
from shared.runs.record import Run
from tests.functional.app.driving import App, conversations, states
from tests.functional.app.mortal import Interrupted


def wait_for_job(app: App, run: Run, status: str) -> None:
    deadline = time.monotonic() + 60
    while (seen := app.job_status(run.id)) != status:
        assert time.monotonic() < deadline, f"{run.id} is still {seen}"
        time.sleep(0.05)


def test_a_run_that_was_only_received_is_cancelled_at_once(app: App) -> None:
    run = actions.cancel(app.services, app.received().id)
    assert states(run) == ["received", "cancelled"]
    assert run.history[-1].reason == "cancelled by request"
    assert app.blobs_of(run) == set()
    app.assert_nothing_submitted(run)


def test_a_run_is_cancelled_in_the_middle_of_its_preparation(app: App) -> None:
    run = app.received(conversations(12, padding="x" * 800_000))
    asked: list[Run] = []

    def cancel() -> None:
        asked.append(actions.cancel(app.services, run.id))
        app.clock.forward(seconds=10)  # more than a quarter of the lease: the worker gives a sign of life

    busy = replace(app.services, blobs=Interrupted(app.services, cancel))
    run = advance(busy, run.id, trigger="test")
    assert (asked[0].state, asked[0].cancel_requested) == ("preparing", True)
    assert states(run) == ["received", "preparing", "cancelled"]
    assert app.blobs_of(run) == set()
    app.assert_nothing_submitted(run)


def test_a_run_that_trains_is_cancelled_with_its_job(app: App) -> None:
    app.cloud.stub(seconds=600)
    run = app.until(app.received(), "training")
    wait_for_job(app, run, "Running")
    run = actions.cancel(app.services, run.id)
    assert (run.state, run.job_status) == ("cancelled", "Canceled")
    wait_for_job(app, run, "Canceled")
    assert app.advance(run).state == "cancelled"
    assert app.blob_json("runs", f"{run.id}/status.json")["state"] == "cancelled"


def test_a_run_is_cancelled_although_its_job_ended_just_before(app: App) -> None:
    run = app.until(app.received(), "training")
    wait_for_job(app, run, "Completed")
    run = actions.cancel(app.services, run.id)
    assert run.state == "cancelled"
    assert app.job_status(run.id) == "Completed"


def test_a_run_that_deploys_is_cancelled_with_its_endpoint(app: App) -> None:
    run = app.until(app.received(), "deploying")
    assert app.endpoint(run) is not None
    run = actions.cancel(app.services, run.id)
    assert run.state == "cancelled"
    assert app.endpoint(run) is None


def test_a_run_that_makes_its_deployment_is_cancelled_with_its_endpoint(app: App) -> None:
    app.cloud.stub(files={"answer.txt": "late", "seconds.txt": "120"})
    run = app.until(app.received(), "deploying")
    deadline = time.monotonic() + 60
    while f"deployment {run.endpoint}/blue is Updating" != run.waiting_for:
        assert time.monotonic() < deadline, run.waiting_for
        run = app.advance(run)
    run = actions.cancel(app.services, run.id)
    assert run.state == "cancelled"
    assert app.endpoint(run) is None


def test_a_wish_to_cancel_reaches_a_worker_that_holds_the_run(app: App) -> None:
    run = app.received()
    with app.services.store.claim(run.id):
        asked = actions.cancel(app.services, run.id)
        assert (asked.state, asked.cancel_requested) == ("received", True)
    assert app.run(run).cancel_requested
    assert run.id in advance_all(app.services, trigger="test")
    assert app.run(run).state == "cancelled"


def test_cancelling_twice_is_cancelling_once(app: App) -> None:
    run = app.received()
    first, second = (actions.cancel(app.services, run.id) for _ in range(2))
    assert states(first) == states(second) == ["received", "cancelled"]


def test_what_has_ended_is_not_cancelled(app: App) -> None:
    rejected = app.advance(app.received(b"x"))
    failed = app.advance(app.received(options={"foundation_model": "Phi-99"}))
    for run in (rejected, failed):
        with pytest.raises(ActionRefusedError, match="nothing to cancel"):
            actions.cancel(app.services, run.id)
        assert app.run(run).state == run.state


def test_an_unknown_run_is_not_cancelled(app: App) -> None:
    with pytest.raises(RunNotFoundError):
        actions.cancel(app.services, "bot-20260101000000-01234567")
