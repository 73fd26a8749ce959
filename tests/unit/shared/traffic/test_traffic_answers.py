"""Azure Monitor's raw answers: what they say, and what they do not say."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import RefusedByAzureError
from shared.traffic.answers import Answers, Line, from_batch
from shared.traffic.readings import Unread

ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/onlineEndpoints/Bot"
METRIC = "RequestsPerMinute"


def metric(*points: dict[str, Any], dimensions: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    named = [
        {"name": {"value": name, "localizedValue": name}, "value": value} for name, value in (dimensions or {}).items()
    ]
    return {
        "id": f"{ID}/providers/Microsoft.Insights/metrics/{METRIC}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": METRIC, "localizedValue": METRIC},
        "unit": "Count",
        "timeseries": [{"metadatavalues": named, "data": list(points)}],
        "errorCode": "Success",
        **more,
    }


def read(value: Any, **more: Any) -> Answers:
    one = {"starttime": "2026-11-24T00:00:00Z", "resourceid": ID, "value": value, **more}
    return from_batch(json.dumps({"values": [one]}).encode(), [ID], METRIC)


def test_only_minutes_with_a_value_are_kept() -> None:
    points = [
        {"timeStamp": "2026-11-24T08:00:00Z"},
        {"timeStamp": "2026-11-24T08:01:00Z", "average": 2.0},
        {"timeStamp": "2026-11-24T08:02:00Z", "average": 0.0},
    ]
    minutes = {datetime(2026, 11, 24, 8, 1, tzinfo=UTC): 2.0, datetime(2026, 11, 24, 8, 2, tzinfo=UTC): 0.0}
    assert read([metric(*points, dimensions={"statusCode": "200"})]) == {
        ID.lower(): [Line({"statuscode": "200"}, minutes)]
    }


def test_an_answer_that_does_not_name_its_resource_names_it_in_its_metrics() -> None:
    assert read([metric()], resourceid=None) == {ID.lower(): [Line({}, {})]}


def test_an_answer_as_json_in_a_string_is_read_all_the_same() -> None:
    body = json.dumps(json.dumps({"values": [{"resourceid": ID, "value": [metric()]}]})).encode()
    assert from_batch(body, [ID], METRIC) == {ID.lower(): [Line({}, {})]}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], "says nothing about RequestsPerMinute"),
        ([metric(errorCode="InternalServerError")], "could not read RequestsPerMinute: InternalServerError"),
    ],
)
def test_what_is_not_said_is_unknown_and_not_nothing(value: Any, fault: str) -> None:
    found = read(value)[ID.lower()]
    assert isinstance(found, Unread)
    assert fault in found.fault


def test_a_resource_that_was_left_out_is_unknown() -> None:
    found = from_batch(b'{"values": []}', [ID], METRIC)[ID.lower()]
    assert isinstance(found, Unread)
    assert "left it out" in found.fault


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'"not JSON"', b'{"values": [{"value": [{"timeseries": 1}]}]}'])
def test_something_else_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedByAzureError, match="not as documented"):
        from_batch(body, [ID], METRIC)
