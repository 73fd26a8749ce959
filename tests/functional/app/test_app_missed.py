"""Uploads that no event told of are picked up, once, and nothing else is taken for one."""

from datetime import timedelta

from shared.runs import reception
from shared.runs.reception import EVENT_TAKES, MISSED_WITHIN, receive_missed
from shared.runs.record import Run
from shared.storage import find_blob_info
from tests.functional.app.driving import App, conversations


def missed(app: App, project: str) -> list[Run]:
    """Pick up what was missed; the container is shared with other tests, so only this project's runs are returned."""
    return [run for run in receive_missed(app.services) if run.project == project]


def project_of(app: App, **upload: str) -> str:
    return app.upload(**upload).name.partition("/")[0]


def test_an_upload_without_an_event_becomes_a_run_once(app: App) -> None:
    project = project_of(app)
    app.clock.forward(seconds=EVENT_TAKES.total_seconds() + 60)
    (run,) = missed(app, project)
    assert (run.state, run.history[0].trigger) == ("received", "timer")
    assert missed(app, project) == []


def test_a_fresh_upload_is_left_to_its_event_and_an_old_one_alone(app: App) -> None:
    project = project_of(app)
    assert missed(app, project) == []
    app.clock.forward(seconds=(MISSED_WITHIN + timedelta(minutes=1)).total_seconds())
    assert missed(app, project) == []


def test_changed_options_make_no_second_run_of_what_was_received(app: App) -> None:
    project = project_of(app, yaml="seed: 1\n")
    info = find_blob_info(app.blob(f"{project}/a.jsonl"))
    assert info is not None
    reception.receive(app.services, info, trigger="test")
    app.blob(f"{project}/finetune.yaml").upload_blob(b"seed: 2\n", overwrite=True)
    app.clock.forward(seconds=EVENT_TAKES.total_seconds() + 60)
    assert missed(app, project) == []


def test_the_same_file_uploaded_again_is_not_missed_when_its_run_has_ended(app: App) -> None:
    info = app.upload()
    project = info.name.partition("/")[0]
    run, _ = reception.receive(app.services, info, trigger="test")
    client = app.blob(info.name)
    client.upload_blob(conversations(), overwrite=True)
    again = find_blob_info(client)
    assert again is not None
    assert again.etag != info.etag
    assert reception.receive(app.services, again, trigger="test")[0].id == run.id
    with app.services.store.claim(run.id) as claim:
        claim.run.cancel_requested = True
    app.until(run, "cancelled")
    app.clock.forward(seconds=EVENT_TAKES.total_seconds() + 60)
    assert missed(app, project) == []
