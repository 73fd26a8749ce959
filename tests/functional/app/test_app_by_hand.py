"""Approve, deploy, cancel, retry: each once however often it is asked for, each refused with a reason where it makes no
sense."""

from typing import Any

import pytest

from functions import http_api
from shared.runs import steps
from shared.runs.context import Context
from shared.runs.lifecycle import advance_all
from shared.runs.parts import Hold
from shared.runs.record import Run
from shared.runs.states import RunState
from tests.functional.app.driving import App, states
from tests.functional.app.test_app_http import call

VERBS = {
    "approve": http_api.approve_run,
    "deploy": http_api.deploy_run,
    "cancel": http_api.cancel_run,
    "retry": http_api.retry_run,
}


def ask(verb: str, run: Run) -> tuple[int, dict[str, Any]]:
    status, body, _ = call(VERBS[verb], run_id=run.id)
    return status, body


def shown(run: Run) -> dict[str, Any]:
    return call(http_api.show_run, run_id=run.id)[1]


def hold(app: App, run: Run, state: RunState, reason: str) -> None:
    """Hold a run as a step does."""
    with app.services.store.claim(run.id) as claim:
        claim.run.hold = Hold(state=state, reason=reason, message="Not good enough.")
        claim.run.move(RunState.HELD, now=app.clock(), trigger="test", reason="Not good enough.")


def prepared(app: App) -> Run:
    """Return a run that is prepared and has not been submitted."""
    run = app.received()
    with app.services.store.claim(run.id) as claim:
        claim.run.move(RunState.PREPARING, now=app.clock(), trigger="test", reason="test")
        steps.prepare(Context(claim, app.services))
        claim.run.move(RunState.PREPARED, now=app.clock(), trigger="test", reason="test")
    return app.run(run)


def registered(app: App) -> Run:
    """Return a run whose model is registered and whose deployment has not begun."""
    if not app.services.store.in_state(RunState.LIVE):
        app.one_live()
    return app.configured(MAX_LIVE_ENDPOINTS="1").until(app.received(), "registered")


def test_an_approved_run_goes_on_where_it_was_held_and_twice_is_once(app: App) -> None:
    run = prepared(app)
    hold(app, run, RunState.PREPARED, "budget")
    assert shown(run)["actions"] == ["approve", "cancel"]
    assert shown(run)["hold"]["reason"] == "budget"
    for _ in range(2):
        status, body = ask("approve", run)
        assert (status, body["state"], body["approved"], body["hold"]) == (202, "prepared", ["budget"], None)
    assert states(app.run(run)).count("prepared") == 2
    ask("cancel", run)


def test_an_approved_run_waits_for_its_turn(app: App) -> None:
    app.cloud.stub(seconds=600)
    app = app.configured(MAX_ACTIVE_RUNS="1")
    run = prepared(app)
    hold(app, run, RunState.PREPARED, "budget")
    other = app.until(app.received(), "training")
    ask("approve", run)
    waiting = app.advance(run)
    assert (waiting.state, app.jobs_of(run)) == ("prepared", [])
    assert shown(run)["in_line"] == {"place": 1, "of": 1}
    ask("cancel", other)
    ask("cancel", run)
    assert app.run(run).state == "cancelled"


@pytest.mark.parametrize("verb", ["approve", "deploy"])
def test_a_run_that_the_gate_holds_is_deployed_by_hand_and_twice_is_once(app: App, verb: str) -> None:
    run = registered(app)
    hold(app, run, RunState.REGISTERED, "eval_loss")
    assert shown(run)["actions"] == ["approve", "deploy", "cancel"]
    summary = app.blob_json("runs", f"{run.id}/status.json")["summary"]
    assert summary
    for _ in range(2):
        status, body = ask(verb, run)
        assert (status, body["state"]) == (202, "registered")
        assert "eval_loss" in body["approved"]
    assert app.until(run, "live").endpoint is not None
    status, body = ask("deploy", run)
    assert (status, body["state"]) == (202, "live")


def test_a_held_run_is_cancelled(app: App) -> None:
    run = prepared(app)
    hold(app, run, RunState.PREPARED, "budget")
    for _ in range(2):
        status, body = ask("cancel", run)
        assert (status, body["state"], body["hold"]) == (202, "cancelled", None)
    assert states(app.run(run))[-2:] == ["held", "cancelled"]


def test_a_retired_run_comes_back_under_its_name_and_waits_for_the_old_endpoint_to_go(app: App) -> None:
    run = app.one_live()
    call(http_api.delete_endpoint, name=str(run.endpoint))
    assert shown(run)["actions"] == ["deploy"]
    for _ in range(2):
        status, body = ask("deploy", run)
        assert (status, body["state"]) == (202, "registered")
    again = app.until(run, "live", "failed")
    assert (again.state, again.endpoint) == ("live", run.endpoint), again.failure
    app.assert_one_of_everything(again)


def test_a_retired_run_whose_model_was_deleted_is_not_deployed(app: App) -> None:
    run = app.one_live()
    call(http_api.delete_endpoint, name=str(run.endpoint))
    assert app.azure("DELETE", f"models/{run.model_name}/versions/{run.model_version}").ok
    status, body = ask("deploy", run)
    assert (status, body["type"]) == (409, "urn:finetune-functions:resource-gone")
    assert f"{run.model_name}:{run.model_version}" in body["detail"]
    assert app.run(run).state == "retired"


def test_what_makes_no_sense_is_refused_with_a_reason(app: App) -> None:
    app.cloud.stub(seconds=600)
    training = app.until(app.received(), "training")
    rejected = app.advance(app.received(b"x"))
    failed = app.advance(app.received(options={"foundation_model": "Phi-99"}))
    held = prepared(app)
    hold(app, held, RunState.PREPARED, "budget")
    for verb, run, words in [
        ("approve", training, "only a held run"),
        ("approve", rejected, "only a held run"),
        ("deploy", training, "no registered model yet"),
        ("deploy", rejected, "only a retired run"),
        ("deploy", failed, "/retry"),
        ("deploy", held, "/approve"),
        ("cancel", rejected, "nothing to cancel"),
        ("retry", held, "only a failed run"),
        ("retry", rejected, "only a failed run"),
    ]:
        status, body = ask(verb, run)
        assert (status, body["type"]) == (409, "urn:finetune-functions:action-refused"), (verb, run.state)
        assert words in body["detail"]
        assert verb not in shown(run)["actions"]
    assert shown(failed)["actions"] == ["retry"]
    for run in (training, held):
        ask("cancel", run)


def test_an_unknown_run_is_not_found_whatever_is_asked(app: App) -> None:
    for handler in VERBS.values():
        status, body, _ = call(handler, run_id="bot-20260101000000-01234567")
        assert (status, body["type"]) == (404, "urn:finetune-functions:run-not-found")


def test_a_wish_to_cancel_a_held_run_outlives_the_one_who_took_it(app: App) -> None:
    run = prepared(app)
    hold(app, run, RunState.PREPARED, "budget")
    app.services.store.request_cancel(run.id)
    assert run.id in advance_all(app.services, trigger="timer")
    assert app.run(run).state == "cancelled"
