"""What can be asked to go wrong, and what is refused with a reason."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from local.faults import answers, rules, scenarios
from local.faults.rules import EventFault, RequestFault, RuleError

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "asked", "said"),
    [
        ("weather", {}, "weather is no kind of fault"),
        ("requests", {"sttus": 429}, "sttus"),
        ("requests", {}, "changes nothing"),
        ("requests", {"status": 200}, "400"),
        ("requests", {"status": 500, "drop": True}, "not both"),
        ("requests", {"status": 500, "path": "("}, "no regular expression"),
        ("requests", {"status": 500, "times": 0}, "times"),
        ("requests", {"status": 500, "probability": 2}, "probability"),
        ("requests", {"status": 500, "plane": "moon"}, "moon"),
        ("events", {"do": "explode"}, "explode"),
        ("job", {"message": "no step"}, "step"),
        ("deployment", {}, "one of message, never_ends and quota"),
        ("deployment", {"quota": True, "never_ends": True}, "one of message"),
        ("compute", {"vmPriority": "Dedicated"}, "message or provisioning"),
        ("host", {"kill": "later"}, "later"),
        ("requests", "all", "object"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(kind: str, asked: Any, said: str) -> None:
    with pytest.raises(RuleError, match=said):
        rules.parse(kind, asked)


@pytest.mark.parametrize(
    ("rule", "method", "path", "plane", "concerns"),
    [
        ({}, "GET", "/x", "arm", True),
        ({}, "GET", "/x", "scoring", True),
        ({}, "POST", "/topics/t", "events", False),
        ({"plane": "events"}, "POST", "/topics/t", "events", True),
        ({"plane": "arm"}, "GET", "/x", "data", False),
        ({"method": "put"}, "PUT", "/x", "arm", True),
        ({"method": "PU"}, "PUT", "/x", "arm", False),
        ({"method": "PUT|POST"}, "POST", "/x", "arm", True),
        ({"path": "JOBS/"}, "PUT", "/a/jobs/b", "arm", True),
        ({"path": "^jobs/"}, "PUT", "/a/jobs/b", "arm", False),
    ],
)
def test_a_request_rule_looks_at_method_path_and_plane(
    rule: dict[str, Any], method: str, path: str, plane: str, concerns: bool
) -> None:
    assert RequestFault(status=500, **rule).concerns(method, path, plane) is concerns


def test_an_event_rule_leaves_the_steps_of_a_job_alone_unless_told() -> None:
    event = {"eventType": "Microsoft.MachineLearningServices.RunCompleted", "subject": "experiments/e/runs/r"}
    step = {**event, "data": {"runType": "azureml.StepRun"}}
    lose = EventFault(do="lose", type="RunCompleted")
    assert lose.concerns(event)
    assert not lose.concerns(step)
    assert EventFault(do="lose", steps=True).concerns(step)
    assert not EventFault(do="lose", status="completed").concerns(event)
    assert EventFault(do="lose", status="completed").concerns({**event, "data": {"runStatus": "completed"}})


def test_throttling_names_the_time_to_wait_in_the_text_and_in_the_header_when_asked() -> None:
    plain = answers.answer(RequestFault(status=429), "arm", b"", NOW)
    told = answers.answer(RequestFault(status=429, retry_after=7), "arm", b"", NOW)
    assert "Retry-After" not in plain.headers
    assert json.loads(plain.body)["error"]["message"].endswith("Retry again after 20 seconds.")
    assert told.headers["Retry-After"] == "7"
    assert json.loads(told.body)["error"]["message"].endswith("Retry again after 7 seconds.")


def test_a_body_of_ones_own_is_sent_as_it_is() -> None:
    body = {"error": {"code": "Teapot"}}
    assert json.loads(answers.answer(RequestFault(status=418, body=body), "scoring", b"", NOW).body) == body


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("5m", 300), ("1.5h", 5400), ("250ms", 0.25), ("-3m", -180)]
)
def test_durations_are_read(text: str, expected: float) -> None:
    assert scenarios.seconds(text) == expected


def test_every_scenario_is_made_of_usable_rules() -> None:
    stories: list[dict[str, Any]] = [
        {"scenario": "unreachable", "lasts_s": 300},
        {"scenario": "busy", "lasts_s": 120, "retry_after": 7},
        {"scenario": "slow", "lasts_s": 60, "delay_s": 2},
        {"scenario": "early-event"},
        {"scenario": "lost-completion", "times": 1},
        {"scenario": "taken", "endpoint": "bot-.*", "where": "region"},
        {"scenario": "skew", "by_s": 180},
    ]
    for story in stories:
        for kind, asked in scenarios.from_document(story).items():
            for one in asked:
                rules.parse(kind, one)
    with pytest.raises(RuleError, match="no scenario"):
        scenarios.from_document({"scenario": "flood"})
    with pytest.raises(RuleError, match="busy"):
        scenarios.from_document({"scenario": "busy", "minutes": 3})
