"""Every delivery may come twice, late, at once with others, or about somebody else: one of everything comes of it."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import azure.functions as func
import pytest
from azure.functions.timer import TimerRequest

from functions.dataset_uploaded import dataset_uploaded
from functions.job_events import job_event
from functions.timers import advance_runs
from shared.errors import RunBusyError, RunNotFoundError
from shared.runs import actions, reception
from shared.runs.lifecycle import advance
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.storage import find_blob_info
from tests.functional.app.driving import LIFE, App, conversations, states

WORKERS = 6


def event(job: str, kind: str = "RunCompleted", status: str | None = None) -> func.EventGridEvent:
    return func.EventGridEvent(
        id=str(uuid.uuid4()),
        data={"runId": job, "experimentName": "x"} | ({"runStatus": status} if status else {}),
        topic="/subscriptions/s",
        subject=f"experiments/x/runs/{job}",
        event_type=f"Microsoft.MachineLearningServices.{kind}",
        event_time=datetime.now(UTC),
        data_version="1.0",
    )


def test_a_second_delivery_finds_the_first_ones_run(app: App) -> None:
    info = app.upload()
    run, is_new = reception.receive(app.services, info, trigger="test")
    again, is_new_again = reception.receive(app.services, info, trigger="test")
    assert (is_new, is_new_again, again.id) == (True, False, run.id)
    assert len(again.history) == 1
    actions.cancel(app.services, run.id)


def test_the_same_file_uploaded_again_while_its_run_is_under_way_is_the_same_run(app: App) -> None:
    run = app.received()
    client = app.blob(run.dataset.blob)
    client.upload_blob(conversations(), overwrite=True)
    info = find_blob_info(client)
    assert info is not None
    assert info.etag != run.dataset.etag
    again, is_new = reception.receive(app.services, info, trigger="test")
    assert (again.id, is_new) == (run.id, False)
    assert app.advance(run).state == "training"
    actions.cancel(app.services, run.id)


def test_another_content_or_other_options_make_another_run(app: App) -> None:
    run = app.received()
    client = app.blob(run.dataset.blob)
    client.upload_blob(conversations(13), overwrite=True)
    info = find_blob_info(client)
    assert info is not None
    other, is_new = reception.receive(app.services, info, trigger="test")
    third, is_new_too = reception.receive(app.services, info, trigger="test", options={"seed": 2})
    assert len({run.id, other.id, third.id}) == 3
    assert is_new
    assert is_new_too
    for one in (run, other, third):
        actions.cancel(app.services, one.id)


def test_uploads_announced_by_several_threads_at_once_make_one_run(app: App) -> None:
    info = app.upload()
    received: list[tuple[Run, bool]] = []
    at_once(lambda: received.append(reception.receive(app.services, info, trigger="test")))
    assert len(received) == WORKERS
    assert len({run.id for run, _ in received}) == 1
    assert [is_new for _, is_new in received].count(True) == 1
    actions.cancel(app.services, received[0][0].id)


def test_several_workers_at_once_make_one_of_everything(app: App) -> None:
    run = app.received()
    deadline = time.monotonic() + 240

    def work() -> None:
        while time.monotonic() < deadline:
            with contextlib.suppress(RunBusyError):
                if advance(app.services, run.id, trigger="test").state == "live":
                    return
            time.sleep(0.02)

    at_once(work)
    run = app.run(run)
    assert states(run) == list(LIFE)
    app.assert_one_of_everything(run)


def test_the_app_brings_a_run_to_life_by_its_triggers_alone_each_delivery_doubled(app: App) -> None:
    info = app.upload()
    client = app.blob(info.name)
    with app.cloud.holding():
        for _ in range(2):
            dataset_uploaded(client)
    (run,) = [run for run in app.services.store.in_state(RunState.TRAINING) if run.dataset.blob == info.name]
    deadline = time.monotonic() + 240
    while app.job_status(run.id) != "Completed":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for told in (event(run.id, "RunStatusChanged", "Completed"), event(run.id)):
        for _ in range(2):
            job_event(told)
    while (run := app.run(run)).state != "live":
        assert time.monotonic() < deadline, run
        advance_runs(TimerRequest(past_due=False))
    assert states(run) == list(LIFE)
    triggers = [line.trigger for line in run.history]
    assert triggers[:7] == ["blob"] * 4 + ["job-event"] * 3
    assert set(triggers[7:]) <= {"job-event", "timer"}
    app.assert_one_of_everything(run)
    job_event(event(run.id))
    assert states(app.run(run)) == list(LIFE)


def test_an_event_for_a_file_in_another_container_makes_no_run(app: App) -> None:
    name = f"forged/{uuid.uuid4()}.jsonl"
    other = app.storage.get_blob_client("prepared", name)
    other.upload_blob(conversations())
    dataset_uploaded(other)
    assert [run for run in app.services.store.in_state(RunState.RECEIVED) if run.dataset.blob == name] == []
    assert app.services.store.page(state=None, project="forged", size=5, token=None).runs == []


def test_events_are_hints_and_their_word_is_not_believed(app: App) -> None:
    app.cloud.stub(seconds=600)
    run = app.until(app.received(), "training")
    job_event(event(run.id, "RunStatusChanged", "Failed"))
    job_event(event(run.id))
    assert app.run(run).state == "training"
    actions.cancel(app.services, run.id)


@pytest.mark.parametrize(
    "job",
    [
        "5adc0a4f-e025-04a5-86f0-9a4fcbb241f9",
        "AutoML_ad912b2d-6467-4f32-a616-dbe4af6dd8fc_5",
        "somebody-20260101000000-0123456789",
        "unknown-20260101000000-01234567",
        "unknown-20260101000000-01234567-r1",
        "",
    ],
)
def test_events_of_strangers_child_runs_and_unknown_runs_are_ignored(app: App, job: str) -> None:
    job_event(event(job))
    assert app.services.store.find(job) is None


def test_events_of_the_steps_of_a_job_change_nothing(app: App) -> None:
    app.cloud.stub(seconds=600)
    run = app.until(app.received(), "training")
    before = app.services.store.entity(run.id).metadata["etag"]
    steps = app.services.plane.steps(run.id)
    assert steps
    for step in steps:
        job_event(event(step["runId"]))
    assert app.services.store.entity(run.id).metadata["etag"] == before
    actions.cancel(app.services, run.id)


def test_an_unknown_run_is_said(app: App) -> None:
    for run_id in ("unknown-20260101000000-01234567", "nonsense"):
        with pytest.raises(RunNotFoundError, match=run_id):
            advance(app.services, run_id, trigger="test")


@pytest.mark.parametrize("name", ["finetune.yaml", ".hidden.jsonl", "_draft.jsonl", "notes.md"])
def test_what_lies_beside_a_dataset_is_none(app: App, name: str) -> None:
    client = app.blob(f"beside/{name}")
    client.upload_blob(b"x: 1", overwrite=True)
    dataset_uploaded(client)
    assert not app.services.store.page(state=None, project="beside", size=10, token=None).runs


def test_an_upload_that_is_gone_again_makes_no_run(app: App) -> None:
    dataset_uploaded(app.blob("gone/a.jsonl"))
    assert not app.services.store.page(state=None, project="gone", size=10, token=None).runs


def at_once(work: Callable[[], object]) -> None:
    """Do the same in several threads that start together; the first failure of one is raised."""
    together = threading.Barrier(WORKERS)
    failures: list[BaseException] = []

    def one() -> None:
        together.wait()
        try:
            work()
        except Exception as fault:  # noqa: BLE001 - raised again below
            failures.append(fault)

    threads = [threading.Thread(target=one) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
