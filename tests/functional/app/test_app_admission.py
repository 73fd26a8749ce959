"""Not more runs under way, and not more endpoints alive, than the settings allow; the others wait for their turn."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from functions import http_api
from shared.errors import RunBusyError
from shared.runs import actions, admission, ledger, reception
from shared.runs.lifecycle import advance, advance_all
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.storage import find_blob_info
from tests.functional.app.driving import App, conversations, states
from tests.functional.app.mortal import DiedError, mortal
from tests.functional.app.test_app_http import call

UNDER_WAY = {"preparing", "prepared", "training", "trained", "registered", "deploying", "verifying"}


@pytest.fixture
def app(app: App) -> Iterator[App]:
    """Two runs may be under way; at the end nothing is."""
    app.cloud.stub(seconds=600)
    two = app.configured(MAX_ACTIVE_RUNS="2", RUN_LEASE="1s")
    yield two
    app.cloud.stub()
    while left := [run for run in everyone(two) if run.state in {"received", "held", *UNDER_WAY}]:
        for run in left:
            with suppress(RunBusyError):
                actions.cancel(two.services, run.id)
        app.clock.forward(seconds=1.1)


def everyone(app: App) -> list[Run]:
    return app.services.store.page(state=None, project=None, size=500, token=None).runs


def dropped(app: App, project: str, count: int, *, size: int = 12) -> list[Run]:
    """Upload datasets one after the other, and receive them."""
    runs = []
    for at in range(count):
        client = app.blob(f"{project}/{at:03}.jsonl")
        client.upload_blob(conversations(size) + b"\n" * at, overwrite=True)
        info = find_blob_info(client)
        assert info is not None
        runs.append(reception.receive(app.services, info, trigger="test")[0])
    return runs


def begun(app: App, runs: list[Run]) -> list[str]:
    return [run.id for run in runs if app.run(run).state in UNDER_WAY]


def tick(app: App) -> None:
    advance_all(app.services, trigger="timer")


def test_what_exceeds_the_limit_is_in_line_and_not_looked_at_again(app: App) -> None:
    runs = dropped(app, "line", 5)
    for run in runs:
        app.advance(run)
    assert len(begun(app, runs)) == 2
    waiting = [app.run(run) for run in runs if app.run(run).state == "received"]
    assert all("MAX_ACTIVE_RUNS" in str(run.waiting_for) for run in waiting)
    assert not {run.id for run in waiting} & set(app.services.store.due(app.clock()))
    rows = [app.services.store.entity(run.id).metadata["etag"] for run in waiting]
    tick(app)
    assert [app.services.store.entity(run.id).metadata["etag"] for run in waiting] == rows


def test_the_api_says_the_place_in_line_and_what_can_be_done(app: App) -> None:
    runs = dropped(app, "places", 4)
    for run in runs:
        app.advance(run)
    last = next(run for run in reversed(runs) if app.run(run).state == "received")
    _, shown, _ = call(http_api.show_run, run_id=last.id)
    assert shown["in_line"] == {"place": 2, "of": 2}
    assert shown["waiting_for"] == "its turn: 2nd of 2"
    assert shown["actions"] == ["cancel"]
    _, listed, _ = call(http_api.list_runs, query={"project": "places"})
    assert sorted(run["in_line"]["place"] for run in listed["value"] if run["in_line"]) == [1, 2]
    status = app.blob_json("runs", f"{last.id}/status.json")
    assert "GET /api/runs/" in " ".join(status["summary"])


def test_when_a_run_ends_the_next_one_begins_in_the_same_tick(app: App) -> None:
    runs = dropped(app, "next", 4)
    for run in runs:
        app.advance(run)
    first, second = begun(app, runs)
    actions.cancel(app.services, first)
    tick(app)
    now = begun(app, runs)
    assert len(now) == 2
    assert second in now


def test_a_project_of_one_file_does_not_wait_behind_one_of_many(app: App) -> None:
    many = dropped(app, "many", 6)
    for run in many:
        app.advance(run)
    (one,) = dropped(app, "single", 1)
    assert app.advance(one).state == "received"
    actions.cancel(app.services, begun(app, many)[0])
    tick(app)
    assert app.run(one).state == "training"


def test_workers_that_ask_all_at_once_never_get_more_places_than_there_are(app: App) -> None:
    runs = dropped(app, "race", 16)
    most = []

    def work(run: Run) -> None:
        with suppress(RunBusyError):
            app.advance(run)
        most.append(len(ledger.under_way(app.services.store)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, runs))
        list(pool.map(lambda _: tick(app), range(3)))
    assert max(most) <= 2
    assert len(begun(app, runs)) == 2
    assert sum(len(app.jobs_of(run)) for run in runs) == 2


def test_workers_that_die_at_every_point_of_the_admission_leave_no_place_taken(app: App) -> None:
    runs = dropped(app, "dying", 3)
    for run in runs:
        ticks = 1
        while app.run(run).state == "received" and app.run(run).ticket is None:
            with suppress(DiedError):
                advance(mortal(app.services, ticks), run.id, trigger="test")
            assert len(ledger.under_way(app.services.store)) <= 2
            app.clock.forward(seconds=1.1)
            ticks += 1
    deadline = time.monotonic() + 300
    while len(begun(app, runs)) < 2:
        assert time.monotonic() < deadline
        tick(app)
        app.clock.forward(seconds=1.1)
    for _ in range(2):
        actions.cancel(app.services, begun(app, runs)[0])
        app.clock.forward(seconds=1.1)
    tick(app)
    assert [app.run(run).state for run in runs].count(RunState.CANCELLED) == 2
    assert len(begun(app, runs)) == 1


def test_a_timer_that_dies_while_it_gives_turns_gives_none_away_for_nothing(app: App) -> None:
    runs = dropped(app, "timer", 5)
    for run in runs:
        app.advance(run)
    for run_id in begun(app, runs):
        actions.cancel(app.services, run_id)
    for ticks in range(1, 40):
        with suppress(DiedError):
            advance_all(mortal(app.services, ticks), trigger="timer")
        assert len(ledger.under_way(app.services.store)) <= 2
        app.clock.forward(seconds=1.1)
    tick(app)
    assert len(begun(app, runs)) == 2


def test_a_run_in_line_is_cancelled_and_its_place_is_the_next_ones(app: App) -> None:
    runs = dropped(app, "leaves", 4)
    for run in runs:
        app.advance(run)
    third, fourth = (run for run in runs if app.run(run).state == "received")
    assert actions.cancel(app.services, third.id).state == "cancelled"
    assert admission.places(app.services)[fourth.id] == (1, 1)


def test_a_run_that_waits_for_a_file_beside_it_is_not_in_line(app: App) -> None:
    first, second = dropped(app, "ahead", 2)
    for run in (first, second):
        app.advance(run)
    yaml = "dataset:\n  train: train.jsonl\n  test: test.jsonl\n"
    app.blob("beside/finetune.yaml").upload_blob(yaml.encode(), overwrite=True)
    client = app.blob("beside/train.jsonl")
    client.upload_blob(conversations(), overwrite=True)
    info = find_blob_info(client)
    assert info is not None
    (run_id,) = reception.receive_upload(app.services, info, trigger="test")
    run = app.advance(app.services.store.get(run_id))
    assert "test.jsonl" in str(run.waiting_for)
    assert run_id not in admission.places(app.services)
    client = app.blob("beside/test.jsonl")
    client.upload_blob(conversations(3), overwrite=True)
    info = find_blob_info(client)
    assert info is not None
    assert reception.receive_upload(app.services, info, trigger="test") == [run_id]
    app.advance(run)
    assert admission.places(app.services)[run_id] == (1, 1)
    app.blob("beside/test.jsonl").delete_blob()
    actions.cancel(app.services, first.id)
    tick(app)
    again = app.run(run)
    assert (again.state, again.ticket, again.admitted) == ("received", None, False)
    assert "test.jsonl" in str(again.waiting_for)


def test_no_more_endpoints_than_allowed_are_alive_and_the_oldest_model_is_next(app: App) -> None:
    app.cloud.stub()
    app = app.configured(MAX_ACTIVE_RUNS="5", MAX_LIVE_ENDPOINTS="1", RUN_LEASE="1s")
    runs = dropped(app, "endpoints", 3)
    for run in runs:
        app.until(run, "registered", "deploying", "verifying", "live")
    alive = [run for run in runs if app.run(run).state != "registered"]
    assert len(alive) == 1
    waiting = [run for run in runs if app.run(run).state == "registered"]
    app.live(*alive)
    for run in waiting:
        assert "MAX_LIVE_ENDPOINTS" in str(app.advance(run).waiting_for)
    status, _, _ = call(http_api.delete_endpoint, name=str(app.run(alive[0]).endpoint))
    assert status == 202
    assert app.advance(waiting[1]).state == "registered"
    tick(app)
    assert app.run(waiting[0]).state in {"deploying", "verifying", "live"}
    assert app.run(waiting[1]).state == "registered"
    assert states(app.run(waiting[1]))[-1] == "registered"
    app.until(waiting[0], "live")
    call(http_api.delete_endpoint, name=str(app.run(waiting[0]).endpoint))
