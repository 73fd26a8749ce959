"""What the app asks itself is kept beside the runs, and is no use of an endpoint."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.azureml import endpoints
from shared.azureml.scoring import ask
from shared.runs import chat
from shared.runs.record import Run
from shared.runs.store import RunStore
from shared.settings import StorageAddress
from shared.traffic import Asked, Reading, Traffic, own
from tests.functional.app.driving import TOWN, App

QUESTION = [{"role": "user", "content": TOWN}]


@pytest.fixture(autouse=True)
def nothing_kept(app: App) -> Iterator[None]:
    yield
    own.forget(app.services, app.clock() + timedelta(days=365))


def read(app: App, run: Run) -> Reading:
    found = endpoints.find_endpoint(app.services.azureml, str(run.endpoint))
    assert found is not None
    now = app.clock()
    since = now - timedelta(hours=1)
    mine = own.recorded(app.services, since).get(found.name, [])
    asked = Asked(found.name, found.id, "eastus", since, (str(run.deployment),), mine)
    reading = Traffic(app.services.settings).read([asked], now)[found.name]
    assert isinstance(reading, Reading), reading
    return reading


def test_smoke_tests_and_chats_are_no_use_once_they_have_settled(app: App) -> None:
    run = app.one_live()
    for _ in range(2):
        chat.chat(app.services, run.id, QUESTION, {})
    young = read(app, run)
    assert run.smoke_test is not None
    made = run.smoke_test["asked"] + 2
    assert (young.use().requests, young.own_requests) == (made, 0)
    app.clock.forward(minutes=6)
    settled = read(app, run)
    assert (settled.use().requests, settled.own_requests, settled.use().connected_at) == (0, made, None)
    assert settled.use(run.deployment).last_request_at is None
    assert settled.use().known_until is not None


def test_somebody_elses_requests_stay(app: App) -> None:
    run = app.one_live()
    assert run.scoring_uri is not None
    key = endpoints.credential_of(app.services.azureml, str(run.endpoint))
    chat.chat(app.services, run.id, QUESTION, {})
    ask(run.scoring_uri, key, QUESTION)  # as a client does
    app.clock.forward(minutes=6)
    assert run.smoke_test is not None
    found = read(app, run)
    assert (found.own_requests, found.use().requests) == (run.smoke_test["asked"] + 1, 1)


def test_what_cannot_be_kept_counts_as_use_and_fails_nothing(app: App, caplog: pytest.LogCaptureFixture) -> None:
    now = app.clock()
    nowhere = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;TableEndpoint=http://127.0.0.1:9/a;"
    away = RunStore(StorageAddress(connection_string=nowhere), now=app.clock, lease=timedelta(seconds=30))
    own.record(replace(app.services, store=away), "bot", "blue", now, now)
    assert "a request to bot/blue counts as use" in caplog.text
    own.record(app.services, "bot", None, now, now)
    assert own.recorded(app.services, now - timedelta(days=1)) == {}


def test_requests_are_forgotten_by_age(app: App) -> None:
    now = app.clock()
    for hours in (50, 49, 2):
        began = now - timedelta(hours=hours)
        own.record(app.services, "bot", "blue", began, began + timedelta(seconds=3))
    assert len(own.recorded(app.services, now - timedelta(days=9))["bot"]) == 3
    (kept,) = own.recorded(app.services, now - timedelta(hours=48))["bot"]
    assert (kept.deployment, kept.ended - kept.started) == ("blue", timedelta(seconds=3))
    assert own.forget(app.services, now - timedelta(hours=48)) == 2
    assert own.forget(app.services, now - timedelta(hours=48)) == 0
    assert len(own.recorded(app.services, now - timedelta(days=9))["bot"]) == 1


def test_what_is_kept_is_not_taken_for_a_run(app: App) -> None:
    store = app.services.store
    before = [run.id for run in store.page(state=None, project=None, size=1000, token=None).runs]
    own.record(app.services, "bot", "blue", app.clock(), app.clock())
    assert [run.id for run in store.page(state=None, project=None, size=1000, token=None).runs] == before
