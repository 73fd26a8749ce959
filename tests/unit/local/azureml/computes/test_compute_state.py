"""A cluster's states at a moment."""

from datetime import UTC, datetime, timedelta

from local.azureml.computes import state

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def cluster() -> state.Document:
    return state.created({"properties": {}}, "eastus", None, NOW, 1.0)


def test_a_cluster_is_creating_then_resizing_then_steady() -> None:
    doc = cluster()
    seen = [(state.provisioning_state(doc, at(s)), state.allocation_state(doc, at(s))) for s in (0, 10, 19)]
    assert seen == [("Creating", None), ("Succeeded", "Resizing"), ("Succeeded", "Steady")]


def test_an_update_keeps_the_birthday_and_is_called_one() -> None:
    fresh = state.created({"properties": {}}, "eastus", None, at(60), 1.0)
    doc = state.updated(cluster(), fresh)
    assert datetime.fromisoformat(doc["created"]) == NOW
    assert state.provisioning_state(doc, at(61)) == "Updating"


def test_a_deleted_cluster_is_gone_in_the_end() -> None:
    doc = {**cluster(), "delete_ends": state.deletion_end(at(60), 1.0)}
    assert state.provisioning_state(doc, at(61)) == "Deleting"
    assert state.exists(doc, at(61))
    assert not state.exists(doc, at(71))
