"""Azure is away for a while: no exception, another attempt later, and the run goes on as if nothing had been."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import azure.functions as func
import pytest

from functions import http_api
from shared.errors import TransientError
from shared.runs import actions
from shared.runs.lifecycle import advance_all
from shared.runs.record import Run
from shared.sweeps.sweep import sweep
from tests.functional.app.driving import LIFE, TOWN, App, states
from tests.functional.azureml_emulator.core.driver import eventually


@dataclass
class Seen:
    """What the app did while Azure ML was away. runs: as they were then, by what they were about to do."""

    runs: dict[str, Run]
    sweep: BaseException | None
    chat: func.HttpResponse


@pytest.fixture(scope="module")
def seen(module_app: App) -> Iterator[Seen]:
    """Let Azure ML go away under a run before its job, one that trains, one that deploys, one that is cancelled."""
    app = module_app
    live = app.one_live()
    app.cloud.stub(files={"answer.txt": "late", "seconds.txt": "1"})
    deploying = app.until(app.received(), "deploying")
    app.cloud.stub(seconds=1)
    training, cancelled = app.until(app.received(), "training"), app.received()
    app.cloud.stub(seconds=1, endless=[cancelled.id])
    cancelled = app.until(cancelled, "training")
    eventually((app.cloud.state_dir / "azureml" / "jobs" / cancelled.id / "endless.txt").exists)
    prepared = app.received()
    about = {"prepared": prepared, "training": training, "deploying": deploying}
    app.cloud.stop()
    try:
        with ThreadPoolExecutor() as pool:
            looks = {name: pool.submit(app.advance, run) for name, run in about.items()}
            looks["cancelled"] = pool.submit(actions.cancel, app.services, cancelled.id)
            swept = pool.submit(sweep, app.services, trigger="test")
            asked = pool.submit(http_api.chat_with_run, question(live))
            fault = swept.exception()
            found = Seen({name: look.result() for name, look in looks.items()}, fault, asked.result())
    finally:
        app.cloud.start()
    yield found


def question(run: Run) -> func.HttpRequest:
    body = json.dumps({"messages": [{"role": "user", "content": TOWN}]}).encode()
    return func.HttpRequest(method="POST", url="/api/x", route_params={"run_id": run.id}, body=body)


@pytest.mark.parametrize(
    ("about", "state"),
    [("prepared", "prepared"), ("training", "training"), ("deploying", "deploying"), ("cancelled", "training")],
)
def test_while_azure_is_away_a_run_waits_for_its_next_attempt(app: App, seen: Seen, about: str, state: str) -> None:
    run = seen.runs[about]
    assert (run.state, run.attempts, run.failure) == (state, 1, None)
    assert run.next_attempt_at is not None
    assert timedelta() < run.next_attempt_at - run.updated_at < timedelta(seconds=11)
    assert run.waiting_for


def test_a_run_is_not_cancelled_before_its_job_is(app: App, seen: Seen) -> None:
    run = seen.runs["cancelled"]
    assert run.cancel_requested
    assert str(run.waiting_for).startswith("cleaning up")


def test_a_sweep_while_azure_is_away_says_so(app: App, seen: Seen) -> None:
    assert isinstance(seen.sweep, TransientError)
    assert "listing endpoints" in str(seen.sweep)


def test_a_question_while_azure_is_away_is_answered_503(app: App, seen: Seen) -> None:
    assert seen.chat.status_code == 503
    assert seen.chat.headers["Retry-After"] == "5"
    assert json.loads(seen.chat.get_body())["type"] == "urn:finetune-functions:transient"


def test_when_azure_is_back_the_runs_go_on_at_their_next_attempt(app: App, seen: Seen) -> None:
    ids = {run.id for run in seen.runs.values()}
    first = min(run.next_attempt_at for run in seen.runs.values() if run.next_attempt_at)
    app.clock.offset = first - app.clock() - timedelta(seconds=3)
    assert not ids & set(advance_all(app.services, trigger="timer"))
    app.clock.offset = timedelta(seconds=30)
    assert ids <= set(advance_all(app.services, trigger="timer"))
    cancelled = seen.runs.pop("cancelled")
    assert app.run(cancelled).state == "cancelled"
    assert app.job_status(cancelled.id) in ("CancelRequested", "Canceled")
    for run in app.live(*seen.runs.values()):
        assert states(run) == list(LIFE)
        assert (run.attempts, run.next_attempt_at) == (0, None)
        app.assert_one_of_everything(run)


def test_a_run_that_azure_keeps_refusing_is_given_up_after_many_attempts(app: App) -> None:
    run = app.advance(app.received(options={"compute": {"name": "gpu-slow"}}))
    assert (run.state, run.attempts) == ("prepared", 1)
    with app.services.store.claim(run.id) as claim:
        claim.run.attempts = 29
    app.azure("DELETE", "computes/gpu-slow")
    run = app.advance(run)
    assert (run.state, run.attempts) == ("prepared", 30), "so many attempts in so short a time end no run"
    app.clock.forward(hours=2)
    app.azure("DELETE", "computes/gpu-slow")
    run = app.advance(run)
    assert run.failure is not None
    assert (run.state, run.failure.reason) == ("failed", "out_of_attempts")
    assert "Tried 31 times; the last trouble was: cluster gpu-slow" in run.failure.message
    assert actions.retry(app.services, run.id).attempts == 0
    actions.cancel(app.services, run.id)
