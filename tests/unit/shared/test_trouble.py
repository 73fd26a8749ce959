"""Azure's answers, as recorded and as its users quote them, mean one thing each to a run."""

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.azureml.trouble import Kind, classify, kind_of, retry_after
from shared.errors import (
    AccessDeniedError,
    ConflictError,
    QuotaError,
    RefusedByAzureError,
    ResourceGoneError,
    TransientError,
)

RECORDED = Path(__file__).resolve().parents[2] / "recorded"
REFUSALS = {
    "compute-get-404.json": Kind.GONE,
    "error-400-deployment-quota-QUOTED.json": Kind.QUOTA,
    "error-400-job-put-registry-region.json": Kind.PERMANENT,
    "error-401-job-put-registry-region.json": Kind.PERMANENT,
    "error-404-endpoint.json": Kind.GONE,
    "error-429-throttled.json": Kind.TRANSIENT,
    "job-cancel-400-terminal.json": Kind.PERMANENT,
    "model-container-get-404.json": Kind.GONE,
    "registry-model-get-404.json": Kind.GONE,
    "blob-head-404.json": Kind.GONE,
}


def recorded(name: str) -> tuple[int, str, dict[str, str]]:
    response = json.loads((RECORDED / name).read_text())["response"]
    body = response["body"]
    return response["status"], json.dumps(body) if body is not None else "", response["headers"]


def answer(status: int, body: str, headers: dict[str, str] | None = None) -> Any:
    """An exception of azure-core, as far as it is read."""
    response = SimpleNamespace(text=lambda: body, headers=headers or {})
    return SimpleNamespace(status_code=status, message=f"({status})", response=response)


def arm(code: str, message: str = "The request is invalid.", **detail: str) -> str:
    details = [{"code": name, "message": text} for name, text in detail.items()]
    return json.dumps({"error": {"code": code, "message": message, "details": details}})


@pytest.mark.parametrize(("file", "kind"), REFUSALS.items())
def test_every_recorded_refusal_has_its_meaning(file: str, kind: Kind) -> None:
    assert kind_of(*recorded(file)) == kind


def test_no_recorded_refusal_is_missing_from_the_table() -> None:
    refusals = {
        file.name
        for file in RECORDED.glob("*.json")
        if json.loads(file.read_text()).get("response", {}).get("status", 200) >= 400
    }
    assert refusals == set(REFUSALS)


ONLINE_ENDPOINT_EXISTS = '{"errors":{"":["OnlineEndpoint foo already exists in cluster"]}}'
NOT_FOUND = "The Resource 'Microsoft.MachineLearningServices/workspaces/ws{}' under resource group 'rg' was not found."
QUOTED = [
    # status, body, what it means, and where it comes from
    (500, arm("InternalServerError"), Kind.TRANSIENT),
    (503, "", Kind.TRANSIENT),
    (500, arm("UserError", "Not enough quota available"), Kind.TRANSIENT),
    (501, "", Kind.PERMANENT),
    (429, arm("UserError"), Kind.TRANSIENT),
    # Azure/azure-sdk-for-net#36961
    (400, arm("BadRequest", "Cannot create a deployment in endpoint e because it is in Updating provisioning state."),
     Kind.TRANSIENT),
    (409, arm("Conflict", "The endpoint is in a transitioning state. Try again later."), Kind.TRANSIENT),
    (409, arm("Conflict"), Kind.TRANSIENT),
    (409, arm("AnotherOperationInProgress"), Kind.TRANSIENT),
    (412, arm("PreconditionFailed"), Kind.TRANSIENT),
    # Azure/mlops-project-template#29
    (409, arm("Conflict", "There is already an endpoint with this name, Endpoint name needs to be unique in a region"),
     Kind.CONFLICT),
    (400, arm("BadRequest", InferencingClientCallFailed=ONLINE_ENDPOINT_EXISTS),
     Kind.CONFLICT),
    # Azure/azureml-assets#2919
    (400, arm("UserError", "Asset azureml://models/M/versions/1 was deleted at T, it cannot be recreated."),
     Kind.CONFLICT),
    # Azure/azure-cli-extensions#5440
    (409, arm("UserError", "Environment e with version 6 is already registered and cannot be changed."), Kind.CONFLICT),
    (409, arm("QuotaExceeded", "Operation results in exceeding quota limits of Core."), Kind.QUOTA),
    (409, arm("ScopeLocked", "The scope cannot perform delete operation because it is locked."), Kind.PERMANENT),
    (409, arm("MissingSubscriptionRegistration"), Kind.PERMANENT),
    (403, arm("RequestDisallowedByPolicy"), Kind.PERMANENT),
    (403, arm("AuthorizationFailed", "The client does not have authorization to perform action."), Kind.ACCESS),
    (401, arm("InvalidAuthenticationToken"), Kind.ACCESS),
    (401, arm("ExpiredAuthenticationToken"), Kind.TRANSIENT),
    (404, arm("ResourceGroupNotFound", "Resource group 'rg' could not be found."), Kind.PERMANENT),
    (404, arm("ResourceNotFound", NOT_FOUND.format("")), Kind.PERMANENT),
    (404, arm("ResourceNotFound", NOT_FOUND.format("/jobs/j")), Kind.GONE),
    (404, "<!DOCTYPE html><html>No such site</html>", Kind.TRANSIENT),
    (403, "<html><title>Access denied by the firewall</title></html>", Kind.TRANSIENT),
    (400, "<?xml version='1.0'?><Error><Code>InvalidBlockList</Code></Error>", Kind.TRANSIENT),
    (400, arm("BadRequest"), Kind.PERMANENT),
    (422, "not JSON {", Kind.PERMANENT),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), QUOTED)
def test_an_answer_has_its_meaning(status: int, body: str, kind: Kind) -> None:
    assert kind_of(status, body) == kind


def test_codes_are_found_where_azure_hides_them() -> None:
    inner = {"code": "BadArgument", "innerError": {"code": "QuotaExceeded", "innerError": None}}
    info = [{"type": "InnerError", "info": {"value": inner}}]
    assert kind_of(400, json.dumps({"error": {"code": "UserError", "additionalInfo": info}})) == Kind.QUOTA
    assert kind_of(409, "", {"x-ms-error-code": "ScopeLocked"}) == Kind.PERMANENT


@pytest.mark.parametrize("status", [None, 200, 204])
def test_what_is_no_refusal_of_azures_is_asked_again(status: int | None) -> None:
    assert kind_of(status, "anything") == Kind.TRANSIENT


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, "", TransientError),
        (400, arm("BadRequest", "Not enough quota available for X"), QuotaError),
        (403, arm("AuthorizationFailed"), AccessDeniedError),
        (404, arm("NotFound"), ResourceGoneError),
        (409, arm("AlreadyExists"), ConflictError),
        (400, arm("BadRequest"), RefusedByAzureError),
    ],
)
def test_each_meaning_is_an_error_that_names_what_was_done(status: int, body: str, error: type[Exception]) -> None:
    fault = classify(answer(status, body), "creating endpoint bot-1")
    assert type(fault) is error
    if error is not QuotaError:
        assert str(fault).startswith("creating endpoint bot-1: ")


def test_a_quota_is_said_in_azures_own_sentence() -> None:
    status, body, _ = recorded("error-400-deployment-quota-QUOTED.json")
    fault = classify(answer(status, body), "creating deployment")
    assert str(fault).startswith("Not enough quota available for Standard_F4s_v2 in SubscriptionId")
    assert "Additional needed: 8" in str(fault)


NOON, IN_90_S = "Tue, 24 Nov 2026 12:00:00 GMT", "Tue, 24 Nov 2026 12:01:30 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"x-ms-retry-after-ms": "2500"}, 2.5),
        ({"Retry-After": IN_90_S, "Date": NOON}, 90),
        ({"Retry-After": NOON, "Date": IN_90_S}, 0),
    ],
)
def test_what_azure_asks_to_wait_is_read_in_every_form(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "headers", [{}, {"Retry-After": ""}, {"Retry-After": "soon"}, {"Retry-After": IN_90_S}, {"Retry-After": "9" * 400}]
)
def test_what_says_no_time_asks_for_none(headers: dict[str, str]) -> None:
    assert retry_after(headers) is None


def test_the_recorded_throttling_asks_for_twenty_seconds_in_words_alone() -> None:
    status, body, headers = recorded("error-429-throttled.json")
    fault = classify(answer(status, body, headers), "submitting job j")
    assert isinstance(fault, TransientError)
    assert fault.retry_after == timedelta(seconds=20)


@settings(derandomize=True, deadline=None)
@given(st.integers(100, 599) | st.none(), st.text() | st.recursive(
    st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(
        ["error", "code", "details", "innerError", "info", "value"]), inner)).map(json.dumps))  # fmt: skip
def test_whatever_the_body_is_an_answer_means_something(status: int | None, body: str) -> None:
    assert isinstance(kind_of(status, body), Kind)
