"""A deployment's states, and what its settings mean in seconds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.azureml.deployments import state

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ASKED = {"properties": {"model": "m", "instanceType": "s"}, "sku": {"capacity": 1}, "operation": "od:1"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("PT1M30S", 90), ("PT5S", 5), ("PT0S", 0), ("P1DT1H", 90000), ("PT0.5S", 0.5), ("PT10M", 600)]
)
def test_durations(text: str, seconds: float) -> None:
    assert state.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "P", "PT", "90", "1M", "PT-5S", "PT5S "])
def test_bad_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        state.seconds(text)


@given(st.integers(0, 500), st.integers(0, 59))
def test_minutes_and_seconds_add_up(minutes: int, seconds: int) -> None:
    assert state.seconds(f"PT{minutes}M{seconds}S") == minutes * 60 + seconds


def test_a_new_deployment_is_updating_and_wants_a_process() -> None:
    doc = state.created(ASKED, NOW)
    assert state.status_at(doc, NOW) == "Updating"
    assert state.wants_process(doc)


def test_a_failed_one_wants_none() -> None:
    doc = state.failed(state.created(ASKED, NOW), "why")
    assert (state.status_at(doc, NOW), doc["error"], state.wants_process(doc)) == ("Failed", "why", False)


def test_a_deleted_one_wants_none_and_is_gone_later() -> None:
    doc = state.deleted(state.succeeded(state.created(ASKED, NOW)), NOW, 1.0)
    assert not state.wants_process(doc)
    assert state.status_at(doc, NOW) == "Deleting"
    assert state.status_at(doc, NOW + timedelta(seconds=11)) is None


def test_only_a_change_that_reaches_the_process_replaces_it() -> None:
    doc = state.succeeded(state.created(ASKED, NOW))
    tagged = state.updated(doc, {**ASKED, "tags": {"a": "b"}})
    assert (tagged["revision"], tagged["phase"]) == (1, "Updating")
    other = state.updated(doc, {**ASKED, "properties": {"model": "n", "instanceType": "s"}})
    assert other["revision"] == 2


def test_patience_is_that_of_the_more_patient_probe() -> None:
    assert state.patience_s({}) == 10 + 30 * 10
    assert state.patience_s({"livenessProbe": {"initialDelay": "PT10M"}}) == 600 + 30 * 10


def test_the_limit_is_twice_concurrency_times_instances() -> None:
    settings = {"requestSettings": {"maxConcurrentRequestsPerInstance": 3}}
    assert state.pending_limit({"properties": settings, "sku": {"capacity": 2}}) == 12
    assert state.pending_limit({"properties": {}, "sku": {"capacity": 1}}) == 2


def test_the_request_timeout_is_five_seconds_unless_set() -> None:
    assert state.request_timeout_s({"properties": {}}) == 5
    assert state.request_timeout_s({"properties": {"requestSettings": {"requestTimeout": "PT1M30S"}}}) == 90
