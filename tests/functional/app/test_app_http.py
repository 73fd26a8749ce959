"""The HTTP API's own functions, called as the host calls them: statuses, bodies, problems."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import pytest

from functions import http_api
from shared import services as shared_services
from shared.runs import reception
from shared.runs.record import Run
from shared.storage import BlobInfo
from tests.functional.app.driving import LIFE, TOWN, App, states

QUESTION = {"messages": [{"role": "user", "content": TOWN}]}
UNKNOWN = "bot-20260101000000-01234567"


def call(
    handler: Any, body: Any = None, *, query: Mapping[str, str] | None = None, **route: str
) -> tuple[int, dict[str, Any], Mapping[str, str]]:
    """Call a handler; return status, body and headers. A problem must say what it is."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    request = func.HttpRequest(method="POST", url="/api/x", params=query or {}, route_params=route, body=raw)
    answer = handler(request)
    content = json.loads(answer.get_body())
    if answer.status_code >= 400 and "type" in content:
        assert answer.mimetype == "application/problem+json"
        assert content["status"] == answer.status_code
        assert content["detail"]
    return answer.status_code, content, dict(answer.headers)


def refused(handler: Any, body: Any = None, **request: Any) -> tuple[int, str]:
    """Call a handler that is to answer with a problem; return its status and its kind."""
    status, content, _ = call(handler, body, **request)
    return status, content["type"].removeprefix("urn:finetune-functions:")


@pytest.fixture(scope="module")
def live(module_app: App) -> Run:
    """A run that was started twice over HTTP."""
    info = module_app.upload()
    status, first, headers = call(http_api.start_run, {"dataset": info.name})
    assert (status, first["state"], headers["Location"]) == (202, "received", f"/api/runs/{first['id']}")
    status, second, _ = call(http_api.start_run, {"dataset": f"datasets/{info.name}"})
    assert (status, second["id"]) == (200, first["id"])
    (run,) = module_app.live(module_app.services.store.get(first["id"]))
    status, third, _ = call(http_api.start_run, {"dataset": info.name})
    assert (status, third["state"]) == (200, "live")
    return run


def test_starting_a_run_for_the_same_blob_again_starts_nothing(app: App, live: Run) -> None:
    assert states(app.run(live)) == list(LIFE)
    app.assert_one_of_everything(live)


def test_a_run_is_shown_with_its_report_and_its_metrics(live: Run) -> None:
    status, shown, _ = call(http_api.show_run, run_id=live.id)
    assert (status, shown["id"], shown["state"], len(shown["history"])) == (200, live.id, "live", len(LIFE))
    status, report, _ = call(http_api.show_report, run_id=live.id)
    assert (status, report["usable"], report["rows_kept"]) == (200, True, 12)
    status, metrics, _ = call(http_api.show_metrics, run_id=live.id)
    assert (status, metrics["job"]) == (200, live.id)
    assert [point["value"] for point in metrics["metrics"]["train_loss"]] == [3.0, 2.0, 1.5]


def test_a_live_run_is_chatted_with(live: Run) -> None:
    asked = {**QUESTION, "parameters": {"max_new_tokens": 20}}
    status, answer, _ = call(http_api.chat_with_run, asked, run_id=live.id)
    assert (status, answer["answer"], answer["deployment"]) == (200, "The mayor is Tobias Crane.", "blue")
    assert answer["latency_ms"] >= 0


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "assistant", "content": "Hello"}],
        [{"role": "user", "content": " "}],
        [{"role": "bot", "content": "x"}, {"role": "user", "content": "x"}],
        [{"content": "x"}],
    ],
)
def test_what_is_no_question_is_refused(live: Run, messages: list[dict[str, str]]) -> None:
    assert refused(http_api.chat_with_run, {"messages": messages}, run_id=live.id) == (400, "invalid-request")


def test_an_unknown_run_is_404_everywhere() -> None:
    for handler in (
        http_api.show_run,
        http_api.show_report,
        http_api.show_metrics,
        http_api.cancel_run,
        http_api.retry_run,
    ):
        assert refused(handler, run_id=UNKNOWN) == (404, "run-not-found")
        assert refused(handler, run_id="../x") == (404, "run-not-found")
    assert refused(http_api.chat_with_run, QUESTION, run_id=UNKNOWN) == (404, "run-not-found")


def test_what_the_runs_state_does_not_allow_is_409(app: App, live: Run) -> None:
    assert refused(http_api.cancel_run, run_id=live.id) == (409, "action-refused")
    assert refused(http_api.retry_run, run_id=live.id) == (409, "action-refused")
    fresh = app.received()
    assert refused(http_api.show_report, run_id=fresh.id) == (409, "action-refused")
    assert refused(http_api.chat_with_run, QUESTION, run_id=fresh.id) == (409, "action-refused")
    status, body, _ = call(http_api.show_metrics, run_id=fresh.id)
    assert (status, body["metrics"]) == (200, {})
    with app.services.store.claim(fresh.id):
        # Not even busy: what is asked for was done already.
        status, body, _ = call(http_api.retry_run, run_id=fresh.id)
        assert (status, body["state"]) == (202, "received")
    status, body, _ = call(http_api.cancel_run, run_id=fresh.id)
    assert (status, body["state"]) == (202, "cancelled")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"dataset": "nobody/a.jsonl"}, 404, "dataset-gone"),
        ({"dataset": "bot/finetune.yaml"}, 400, "invalid-request"),
        ({"dataset": ""}, 400, "invalid-request"),
        ({}, 400, "invalid-request"),
        (b"not json", 400, "invalid-request"),
        ({"dataset": "nobody/a.jsonl", "speed": 2}, 400, "invalid-request"),
    ],
)
def test_what_is_no_start_is_refused(app: App, body: Any, status: int, kind: str) -> None:
    assert refused(http_api.start_run, body) == (status, kind)


def test_options_that_cannot_be_used_are_refused(app: App) -> None:
    info = app.upload()
    of_dataset = ({"layout": "shargpt"}, {"columns": {"answr": "a"}}, {"drop": ["everything"]}, {"test": "../x"})
    wrong = [{"speed": 2}, {"sample_percent": 0}, {"hyperparameters": [1]}, *({"dataset": own} for own in of_dataset)]
    for options in wrong:
        assert refused(http_api.start_run, {"dataset": info.name, "options": options}) == (400, "options")


def test_a_failed_run_is_retried(app: App) -> None:
    app.cloud.faults(compute={"message": "Not enough quota."})
    run = app.advance(app.received(options={"compute": {"name": "gpu-http"}}))
    app.cloud.faults()
    assert run.state == "failed"
    status, body, _ = call(http_api.retry_run, run_id=run.id)
    assert (status, body["state"], body["failure"]) == (202, "prepared", None)
    call(http_api.cancel_run, run_id=run.id)


def test_runs_are_listed_newest_first_page_by_page(app: App) -> None:
    made = []
    for minute in (3, 1, 5, 2, 4):
        at = datetime(2026, 1, 1, 12, minute, tzinfo=UTC)
        info = BlobInfo("datasets", f"paged/{minute}.jsonl", f"0x{minute}", at, 10, {})
        made.append(reception.receive(app.services, info, trigger="test")[0])
    newest_first = [run.id for run in sorted(made, key=lambda run: run.dataset.modified_at, reverse=True)]
    seen: list[str] = []
    query = {"project": "paged", "top": "2"}
    for size in (2, 2, 1):
        status, page, _ = call(http_api.list_runs, query=query)
        assert (status, len(page["value"])) == (200, size)
        seen += [run["id"] for run in page["value"]]
        query["next"] = page["next"]
    assert page["next"] is None
    assert seen == newest_first
    status, page, _ = call(http_api.list_runs, query={"state": "received", "project": "paged"})
    assert [run["id"] for run in page["value"]] == newest_first
    status, page, _ = call(http_api.list_runs, query={"state": "live", "project": "paged"})
    assert (status, page) == (200, {"value": [], "next": None})


@pytest.mark.parametrize(
    "query",
    [
        {"state": "sleeping"},
        {"top": "0"},
        {"top": "many"},
        {"next": "nonsense"},
        {"next": "Int9"},
        {"next": "e30="},
        {"next": "WzFd"},
        {"next": "eyJQYXJ0aXRpb25LZXkiOiAxLCAiUm93S2V5IjogMn0="},
    ],
)
def test_a_listing_that_cannot_be_is_refused(query: dict[str, str]) -> None:
    assert refused(http_api.list_runs, query=query) == (400, "invalid-request")


def test_endpoints_are_listed_with_their_runs_and_removed_by_hand(app: App) -> None:
    run = app.one_live()
    theirs = {"location": "eastus", "properties": {"authMode": "Key"}}
    app.azure("PUT", "onlineEndpoints/http-theirs", theirs)
    _, listed, _ = call(http_api.list_endpoints)
    (shown,) = [one for one in listed["value"] if one["name"] == run.endpoint]
    assert (shown["run"], shown["run_state"], shown["traffic"]) == (run.id, "live", {"blue": 100})
    assert datetime.now(UTC) - datetime.fromisoformat(shown["created_at"]) < timedelta(minutes=2)
    assert "http-theirs" not in {one["name"] for one in listed["value"]}
    assert refused(http_api.delete_endpoint, name="http-theirs") == (404, "endpoint-not-found")
    assert refused(http_api.delete_endpoint, name="nobodys") == (404, "endpoint-not-found")
    status, body, _ = call(http_api.delete_endpoint, name=str(run.endpoint))
    assert (status, body["run"]["state"]) == (202, "retired")
    assert app.endpoint(run) is None
    assert refused(http_api.delete_endpoint, name=str(run.endpoint)) == (404, "endpoint-not-found")
    assert refused(http_api.chat_with_run, QUESTION, run_id=run.id) == (409, "action-refused")


def test_a_sweep_by_hand_says_what_it_found(app: App, live: Run) -> None:
    status, report, _ = call(http_api.start_sweep, query={"dry_run": "true"})
    assert (status, report["dry_run"]) == (200, True)
    (found,) = [one for one in report["endpoints"] if one["name"] == live.endpoint]
    assert (found["action"], found["run"]) == ("kept", live.id)
    assert refused(http_api.start_sweep, query={"dry_run": "perhaps"}) == (400, "invalid-request")


def test_health_says_whether_the_app_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(http_api.health)[:2] == (200, {"status": "ok"})
    monkeypatch.delenv("AZUREML_WORKSPACE_NAME")
    shared_services.services.cache_clear()
    try:
        assert call(http_api.health)[:2] == (503, {"status": "misconfigured", "faults": 1})
        assert refused(http_api.list_runs) == (500, "settings")
    finally:
        shared_services.services.cache_clear()
