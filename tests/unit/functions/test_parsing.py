import json
from pathlib import Path

import azure.functions as func
import pytest
from azure.core.messaging import CloudEvent

from functions.parsing import ChatRequest, StartRequest, body_of, count, flag, job_of
from shared.errors import InvalidRequestError

EVENTS = Path(__file__).resolve().parents[2] / "events"


def event_grid(name: str) -> func.EventGridEvent:
    raw = json.loads((EVENTS / name).read_text())
    return func.EventGridEvent(
        id=raw["id"],
        data=raw["data"],
        topic=raw["topic"],
        subject=raw["subject"],
        event_type=raw["eventType"],
        event_time=None,
        data_version=raw["dataVersion"],
    )


@pytest.mark.parametrize("name", ["run_completed.eventgrid.json", "run_status_changed.eventgrid.json"])
def test_job_events_of_event_grids_schema_are_read(name: str) -> None:
    assert job_of(event_grid(name)) == "AutoML_ad912b2d-6467-4f32-a616-dbe4af6dd8fc_5"


def test_cloud_events_are_read_too() -> None:
    raw = json.loads((EVENTS / "run_completed.cloudevents.json").read_text())
    event = CloudEvent.from_dict(raw)

    class AsTheWorkerHandsItOver:
        type = event.type

        def get_json(self) -> object:
            return event.data

    assert job_of(AsTheWorkerHandsItOver()) == "AutoML_ad912b2d-6467-4f32-a616-dbe4af6dd8fc_5"


def test_events_of_other_kinds_are_ignored() -> None:
    assert job_of(event_grid("blob_created.eventgrid.json")) is None


def request(body: bytes = b"", **params: str) -> func.HttpRequest:
    return func.HttpRequest(method="POST", url="/api/x", params=params, body=body)


def test_a_start_request_is_read() -> None:
    asked = body_of(request(b'{"dataset": "bot/a.jsonl", "options": {"keep": true}}'), StartRequest)
    assert (asked.dataset, asked.options) == ("bot/a.jsonl", {"keep": True})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"dataset": 1}', b'{"dataset": "a", "option": {}}', b"\xff"])
def test_a_body_that_does_not_fit_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        body_of(request(body), StartRequest)


def test_a_chat_request_takes_plain_parameters_only() -> None:
    with pytest.raises(InvalidRequestError, match="parameters"):
        body_of(request(b'{"messages": [], "parameters": {"stop": ["x"]}}'), ChatRequest)


def test_flags_and_counts_of_a_query() -> None:
    assert flag(request(dry_run="True"), "dry_run") is True
    assert flag(request(), "dry_run") is False
    assert count(request(top="7"), "top", default=50, most=500) == 7
    for bad in ("0", "501", "x", "-1"):
        with pytest.raises(InvalidRequestError):
            count(request(top=bad), "top", default=50, most=500)
    with pytest.raises(InvalidRequestError):
        flag(request(dry_run="yes"), "dry_run")
