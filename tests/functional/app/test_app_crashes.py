"""A process may die anywhere: another one goes on where it stopped, and nothing is done twice."""

import time
from dataclasses import replace

import pytest

from shared.errors import LeaseLostError, RunBusyError
from shared.runs import actions
from shared.runs.lifecycle import advance, advance_all
from shared.runs.reception import receive_upload
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.services import Services
from shared.storage import Blobs
from tests.functional.app.driving import LIFE, App, conversations, states
from tests.functional.app.mortal import DiedError, Interrupted, Stalled, mortal

LEASE_S = 30
"""Long enough that only the test's own clock lets it run out, on a slow machine, too."""


@pytest.fixture
def app(app: App) -> App:
    return app.configured(RUN_LEASE=f"{LEASE_S}s")


@pytest.fixture
def hasty(app: App) -> App:
    """With a short lease, so that little of a run's time is lost with each of many workers."""
    return app.configured(RUN_LEASE="1s")


def die_everywhere(app: App, run: Run, deadline: float) -> int:
    """Bring a run to life with workers of which each dies one tick later than the last, until a step is done.

    Returns: how many died.
    """
    deaths, ticks, state = 0, 1, run.state
    while (seen := app.run(run)).state in LIFE[:-1]:
        assert time.monotonic() < deadline, f"{deaths} died, {seen.state}: {seen.waiting_for}"
        ticks = 1 if seen.state != state else ticks
        state = seen.state
        try:
            advance(mortal(app.services, ticks), run.id, trigger="test")
        except DiedError:
            deaths += 1
            ticks += 1
            app.clock.forward(seconds=1.1)  # the dead worker's lease runs out
        else:
            time.sleep(0.05)  # it waits for Azure
    return deaths


def test_workers_that_die_at_every_single_point_leave_one_of_everything(hasty: App) -> None:
    app = hasty
    run = app.received()
    deaths = die_everywhere(app, run, time.monotonic() + 300)
    run = app.run(run)
    assert run.state == "live", run.failure
    assert states(run) == list(LIFE)
    assert deaths > 50
    app.assert_one_of_everything(run)
    assert app.blobs_of(run) == {"train.jsonl", "test.jsonl", "report.json"}
    assert app.blob_json("prepared", f"{run.id}/report.json")["rows_read"] == 12


def test_a_run_whose_worker_died_is_busy_until_its_lease_runs_out(app: App) -> None:
    app.cloud.stub(seconds=600)
    run = app.received()
    with pytest.raises(DiedError), app.services.store.claim(run.id):
        raise DiedError
    with pytest.raises(RunBusyError):
        app.advance(run)
    assert run.id not in advance_all(app.services, trigger="test")
    app.clock.forward(seconds=LEASE_S + 1)
    assert run.id in advance_all(app.services, trigger="test")
    assert app.run(run).state == "training"
    actions.cancel(app.services, run.id)


def test_a_second_worker_is_told_that_the_run_is_busy(app: App) -> None:
    run = app.received()
    with app.services.store.claim(run.id) as claim:
        with pytest.raises(RunBusyError, match="try again in a moment"):
            app.advance(run)
        assert claim.run.state == "received"
    assert app.until(run, "training").job_name == run.id
    actions.cancel(app.services, run.id)


def test_a_worker_that_lost_its_lease_cannot_write(app: App) -> None:
    run = app.received()
    with pytest.raises(LeaseLostError), app.services.store.claim(run.id) as slow:
        app.clock.forward(seconds=LEASE_S + 1)
        with app.services.store.claim(run.id) as other:
            other.run.note("written by the other")
        slow.run.note("written too late")
        slow.save()
    assert app.run(run).notes == ["written by the other"]
    actions.cancel(app.services, run.id)


def test_a_save_renews_the_lease(app: App) -> None:
    run = app.received()
    with app.services.store.claim(run.id) as claim:
        for _ in range(3):
            app.clock.forward(seconds=0.8 * LEASE_S)
            claim.save()
            with pytest.raises(RunBusyError), app.services.store.claim(run.id):
                pass
    actions.cancel(app.services, run.id)


def test_a_worker_that_is_overtaken_while_it_prepares_stops_and_changes_nothing(app: App) -> None:
    run = app.received(conversations(12, padding="x" * 800_000))
    overtaken: list[Run] = []

    def overtake() -> None:
        app.clock.forward(seconds=LEASE_S + 1)
        overtaken.append(app.advance(run))

    slow = replace(app.services, blobs=Interrupted(app.services, overtake))
    with pytest.raises(LeaseLostError, match="another worker"):
        advance(slow, run.id, trigger="slow")
    (first,) = overtaken
    assert first.state == RunState.TRAINING
    assert {line.trigger for line in app.run(run).history[2:]} == {"test"}
    actions.cancel(app.services, run.id)


def test_a_worker_that_prepares_for_long_keeps_its_lease(app: App) -> None:
    run = app.received(conversations(12, padding="x" * 800_000))
    tried: list[str] = []

    def meanwhile() -> None:
        app.clock.forward(seconds=0.6 * LEASE_S)
        with pytest.raises(RunBusyError):
            app.advance(run)
        tried.append(run.id)

    steady = replace(app.services, blobs=Interrupted(app.services, meanwhile))
    with app.cloud.holding():
        assert advance(steady, run.id, trigger="test").state == "training"
    assert tried == [run.id]
    actions.cancel(app.services, run.id)


def test_a_worker_that_was_overtaken_removes_nothing_of_what_the_other_made(app: App) -> None:
    run = app.until(app.received(), "deploying")

    def overtake() -> None:
        app.clock.forward(seconds=LEASE_S + 1)
        app.live(run)
        app.blob(f"{run.id}/test.jsonl", "prepared").delete_blob()

    slow = replace(app.services, blobs=Interrupted(app.services, overtake, at_block=0))
    with pytest.raises(LeaseLostError):
        while advance(slow, run.id, trigger="slow").state == "deploying":
            time.sleep(0.05)
    assert app.run(run).state == "live"
    assert app.endpoint(app.run(run)) is not None


def test_a_job_that_a_stalled_worker_submits_after_its_run_was_cancelled_is_cancelled_by_its_first_event(
    app: App,
) -> None:
    app.cloud.stub(seconds=600)
    run = app.received()

    def cancel() -> None:
        app.clock.forward(seconds=LEASE_S + 1)
        assert actions.cancel(app.services, run.id).state == "cancelled"

    stalled = Stalled(app.services.azureml, lambda: app.run(run).job_name is not None, cancel)
    with pytest.raises(LeaseLostError):
        advance(replace(app.services, azureml=stalled), run.id, trigger="slow")
    assert app.jobs_of(run) == [run.id]
    assert app.advance(run).state == "cancelled"
    wait_for_cancelled_job(app, run.id)


def test_a_job_submitted_by_a_worker_that_died_before_it_could_say_so_is_cancelled_with_its_run(hasty: App) -> None:
    app = hasty
    app.cloud.faults(job={"step": "chat_completion_finetune", "code": "UserError", "message": "The GPU is on fire."})
    run = app.until(app.received(), "failed")
    app.cloud.faults()
    app.cloud.stub(seconds=600)
    actions.retry(app.services, run.id)
    ticks = 1
    while len(app.jobs_of(run)) < 2:
        with pytest.raises(DiedError):
            advance(mortal(app.services, ticks), run.id, trigger="test")
        app.clock.forward(seconds=1.1)
        ticks += 1
    assert app.run(run).state == "prepared"
    assert actions.cancel(app.services, run.id).state == "cancelled"
    wait_for_cancelled_job(app, f"{run.id}-r1")


def wait_for_cancelled_job(app: App, name: str) -> None:
    deadline = time.monotonic() + 60
    while app.job_status(name) != "Canceled":
        assert time.monotonic() < deadline, "the job goes on without its run"
        time.sleep(0.05)


def test_a_step_that_kills_every_worker_ends_after_some_with_a_reason_of_its_own(app: App) -> None:
    run = app.received()

    def die() -> None:
        raise DiedError

    deadly = replace(app.services, blobs=Interrupted(app.services, die, at_block=0))
    deaths = 0
    while app.run(run).state == "received" or app.run(run).state == "preparing":
        assert deaths < 20, "it goes on for ever"
        try:
            advance(deadly, run.id, trigger="timer")
        except DiedError:
            deaths += 1
        app.clock.forward(minutes=3)
    run = app.run(run)
    assert run.failure is not None
    assert (run.state, run.failure.state, run.failure.reason) == ("failed", "preparing", "worker_died")
    assert "8 workers in a row" in run.failure.message
    assert deaths == 8
    assert actions.retry(app.services, run.id).crashes == 0
    assert app.advance(run).state == "training"
    actions.cancel(app.services, run.id)


class Mute(Blobs):
    """Storage in front of which the process dies when a run's last state is to be told."""

    def __init__(self, services: Services, state: str) -> None:
        super().__init__(services.settings.storage)
        self._state = f'"state": "{state}"'.encode()

    def write_small(self, container: str, name: str, data: bytes) -> None:
        if name.endswith("/status.json") and self._state in data:
            raise DiedError
        super().write_small(container, name, data)


def test_a_worker_that_dies_before_it_has_told_a_runs_end_leaves_that_to_the_timer(app: App) -> None:
    run = app.received(b"no row of this can be used\n")
    with pytest.raises(DiedError):
        advance(replace(app.services, blobs=Mute(app.services, "rejected")), run.id, trigger="test")
    assert app.run(run).state == "rejected"
    app.clock.forward(seconds=LEASE_S + 1)
    assert run.id in advance_all(app.services, trigger="test")
    assert app.blob_json("runs", f"{run.id}/status.json")["state"] == "rejected"
    assert run.id not in advance_all(app.services, trigger="test")


def test_a_second_delivery_tells_of_the_refusal_that_the_first_one_died_of(app: App) -> None:
    blob = app.upload(yaml="learning_rate: fast\n")
    with pytest.raises(DiedError):
        receive_upload(replace(app.services, blobs=Mute(app.services, "rejected")), blob, trigger="test")
    (run_id,) = receive_upload(app.services, blob, trigger="test")
    assert app.blob_json("runs", f"{run_id}/status.json")["state"] == "rejected"
