"""A newer upload of the same dataset ends older runs on it that have not begun to train."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.runs import actions, reception
from shared.runs.lifecycle import advance_all
from shared.runs.parts import Hold
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.storage import BlobInfo, find_blob_info
from tests.functional.app.driving import App, conversations, states


def put(app: App, name: str, rows: int) -> BlobInfo:
    client = app.blob(name)
    client.upload_blob(conversations(rows), overwrite=True)
    info = find_blob_info(client)
    assert info is not None
    return info


def received(app: App, info: BlobInfo) -> Run:
    return reception.receive(app.services, info, trigger="test")[0]


def tick(app: App) -> None:
    advance_all(app.services, trigger="timer")


@pytest.fixture
def app(app: App) -> App:
    app.cloud.stub(seconds=600)
    return app


def held_before_training(app: App, run: Run) -> None:
    """Let a run be held as a budget holds it."""
    with app.services.store.claim(run.id) as claim:
        for state in (RunState.PREPARING, RunState.PREPARED):
            claim.run.move(state, now=app.clock(), trigger="test", reason="test")
        claim.run.hold = Hold(state=RunState.PREPARED, reason="budget", message="Too dear.")
        claim.run.move(RunState.HELD, now=app.clock(), trigger="test", reason="Too dear.")


def test_a_run_that_waits_ends_when_its_dataset_is_uploaded_anew(app: App) -> None:
    older = received(app, put(app, "again/a.jsonl", 12))
    newer = received(app, put(app, "again/a.jsonl", 13))
    tick(app)
    ended = app.run(older)
    assert states(ended) == ["received", "cancelled"]
    assert ended.history[-1].reason == f"superseded by run {newer.id}"
    assert app.run(newer).state == "training"
    app.assert_nothing_submitted(older)
    actions.cancel(app.services, newer.id)


def test_a_run_that_is_held_before_its_training_ends_too(app: App) -> None:
    older = received(app, put(app, "held/a.jsonl", 12))
    held_before_training(app, older)
    newer = received(app, put(app, "held/a.jsonl", 13))
    tick(app)
    ended = app.run(older)
    assert (ended.state, ended.hold) == ("cancelled", None)
    assert ended.history[-1].reason == f"superseded by run {newer.id}"
    actions.cancel(app.services, newer.id)


def test_a_run_that_trains_goes_on(app: App) -> None:
    older = app.until(received(app, put(app, "trains/a.jsonl", 12)), "training")
    newer = received(app, put(app, "trains/a.jsonl", 13))
    assert not app.run(older).cancel_requested
    for run in (older, newer):
        actions.cancel(app.services, run.id)


def test_other_options_on_the_same_version_are_another_run_and_both_stay(app: App) -> None:
    info = put(app, "options/a.jsonl", 12)
    runs = [reception.receive(app.services, info, trigger="test", options={"seed": seed})[0] for seed in (1, 2)]
    assert not any(app.run(run).cancel_requested for run in runs)
    for run in runs:
        actions.cancel(app.services, run.id)


def test_the_versions_own_times_count_and_not_the_order_of_arrival(app: App) -> None:
    old = put(app, "order/a.jsonl", 12)
    new = put(app, "order/a.jsonl", 13)
    newer = received(app, replace(new, modified_at=old.modified_at + timedelta(seconds=5)))
    late = received(app, old)
    assert app.run(late).cancel_reason == f"superseded by run {newer.id}"
    assert not app.run(newer).cancel_requested
    actions.cancel(app.services, newer.id)


def test_of_two_versions_of_one_second_the_one_in_storage_is_the_newer(app: App) -> None:
    old = put(app, "second/a.jsonl", 12)
    new = put(app, "second/a.jsonl", 13)
    newer = received(app, replace(new, modified_at=old.modified_at))
    late = received(app, old)
    assert app.run(late).cancel_requested
    assert not app.run(newer).cancel_requested
    actions.cancel(app.services, newer.id)


def test_an_upload_that_goes_back_to_an_earlier_content_is_a_run_of_its_own(app: App) -> None:
    first = received(app, put(app, "back/a.jsonl", 12))
    second = received(app, put(app, "back/a.jsonl", 13))
    third = received(app, put(app, "back/a.jsonl", 12))
    tick(app)
    assert [app.run(run).state for run in (first, second)] == ["cancelled", "cancelled"]
    assert third.id not in (first.id, second.id)
    assert app.run(third).state == "training"
    actions.cancel(app.services, third.id)


def test_an_upload_that_cannot_be_used_for_its_options_ends_nothing(app: App) -> None:
    older = received(app, put(app, "refused/a.jsonl", 12))
    app.blob("refused/finetune.yaml").upload_blob(b"nonsense: 1")
    assert received(app, put(app, "refused/a.jsonl", 13)).state == "rejected"
    assert not app.run(older).cancel_requested
    actions.cancel(app.services, older.id)


def test_nothing_is_superseded_when_the_setting_says_so(app: App) -> None:
    app = app.configured(SUPERSEDE="false")
    older = received(app, put(app, "setting/a.jsonl", 12))
    newer = received(app, put(app, "setting/a.jsonl", 13))
    assert not app.run(older).cancel_requested
    for run in (older, newer):
        actions.cancel(app.services, run.id)


def test_an_upload_delivered_twice_ends_the_older_run_once(app: App) -> None:
    older = received(app, put(app, "twice/a.jsonl", 12))
    info = put(app, "twice/a.jsonl", 13)
    newer = received(app, info)
    tick(app)
    received(app, info)
    tick(app)
    assert states(app.run(older)) == ["received", "cancelled"]
    assert not app.run(newer).cancel_requested
    actions.cancel(app.services, newer.id)
