"""An endpoint's states and traffic at a moment."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.azureml.endpoints import state

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def created(speed: float = 1.0) -> state.Document:
    return {**state.created(NOW, speed), "modified": NOW.isoformat()}


def test_an_endpoint_is_creating_until_its_time_has_come() -> None:
    doc = created()
    assert state.status_at(doc, NOW) == "Creating"
    assert state.status_at(doc, NOW + 90 * SECOND) == "Creating"
    assert state.status_at(doc, NOW + 91 * SECOND) == "Succeeded"


def test_speed_divides_the_time() -> None:
    assert state.status_at(created(speed=45), NOW + 2.1 * SECOND) == "Succeeded"


def test_the_old_traffic_holds_until_the_update_has_succeeded() -> None:
    ready = NOW + 100 * SECOND
    doc = state.updated(created(), {"blue": 100}, ready, 1.0)
    assert (state.status_at(doc, ready), state.traffic_at(doc, ready)) == ("Updating", {})
    after = ready + 21 * SECOND
    assert (state.status_at(doc, after), state.traffic_at(doc, after)) == ("Succeeded", {"blue": 100})
    again = state.updated(doc, {"green": 100}, after, 1.0)
    assert state.traffic_at(again, after) == {"blue": 100}


def test_a_deleted_endpoint_is_deleting_and_then_gone() -> None:
    doc = state.deleted(created(), NOW + 100 * SECOND, 1.0)
    assert state.status_at(doc, NOW + 105 * SECOND) == "Deleting"
    assert state.status_at(doc, NOW + 111 * SECOND) is None


def test_a_reading_changes_nothing() -> None:
    doc = created()
    before = dict(doc)
    for seconds in (200, 0, 50):
        state.status_at(doc, NOW + seconds * SECOND)
        state.traffic_at(doc, NOW + seconds * SECOND)
    assert doc == before
    assert state.status_at(doc, NOW) == "Creating"


@pytest.mark.parametrize("name", ["abc", "a-1", "Support-bot-1234abcd", "a" * 32])
def test_good_names(name: str) -> None:
    assert state.name_fault(name) is None


@pytest.mark.parametrize("name", ["ab", "a" * 33, "1abc", "abc-", "a_b", "äbc", ""])
def test_bad_names(name: str) -> None:
    assert "3 to 32 characters" in str(state.name_fault(name))


@pytest.mark.parametrize(
    ("traffic", "fault"),
    [
        ({}, None),
        ({"blue": 100}, None),
        ({"Blue": 0, "green": 0}, None),
        ({"blue": 70, "green": 30}, None),
        ({"red": 100}, "do not exist: red"),
        ({"blue": 50}, "add up to 0 or 100, found 50"),
        ({"blue": 101}, "from 0 to 100, found 101"),
        ({"blue": "100"}, "whole number"),
        ({"blue": -1, "green": 101}, "found -1"),
        ({"blue": 100, "slow": 0}, None),
        ({"blue": 50, "Slow": 50}, "not in Succeeded provisioning state: Slow is Updating"),
        ({"broken": 100}, "broken is Failed"),
    ],
)
def test_traffic(traffic: dict[str, int], fault: str | None) -> None:
    found = state.traffic_fault(
        traffic, {"blue": "Succeeded", "green": "Succeeded", "slow": "Updating", "broken": "Failed"}
    )
    assert found is None if fault is None else fault in str(found)


def test_a_deleted_deployment_leaves_no_traffic_behind() -> None:
    doc = state.updated(created(), {"Blue": 0, "green": 100}, NOW + 100 * SECOND, 1.0)
    assert state.without_traffic(doc, "blue")["next_traffic"] == {"green": 100}


def test_a_new_key_is_another_one_even_when_the_old_is_sent_along() -> None:
    doc = created()
    old = doc["keys"]["primaryKey"]
    assert state.with_new_key(doc, "primaryKey", old)["keys"]["primaryKey"] != old
    assert state.with_new_key(doc, "primaryKey", "mine")["keys"]["primaryKey"] == "mine"


@given(st.floats(min_value=0, max_value=400), st.floats(min_value=0, max_value=400))
def test_a_state_never_goes_back(first: float, second: float) -> None:
    order = ["Creating", "Succeeded"]
    doc = created()
    earlier, later = sorted((first, second))
    states = [state.status_at(doc, NOW + seconds * SECOND) for seconds in (earlier, later)]
    assert order.index(str(states[0])) <= order.index(str(states[1]))
