"""Long-running operations at a moment."""

from datetime import UTC, datetime, timedelta

from local.azureml import operations

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def operation(ends: datetime | None, error: dict[str, str] | None = None) -> dict[str, object]:
    return {"started": NOW.isoformat(), "ends": ends.isoformat() if ends else None, "error": error}


def test_it_is_updating_without_an_end_and_before_it() -> None:
    for doc in (operation(None), operation(NOW + timedelta(seconds=5))):
        body = operations.wire("oe:1", doc, NOW)
        assert (body["status"], body["percentComplete"], "endTime" in body) == ("Updating", 0.0, False)


def test_it_has_succeeded_afterwards() -> None:
    body = operations.wire("oe:1", operation(NOW), NOW)
    assert (body["status"], body["percentComplete"], body["endTime"]) == ("Succeeded", 100.0, NOW.isoformat())
    assert "error" not in body


def test_an_error_makes_it_failed() -> None:
    body = operations.wire("od:1", operation(NOW, {"message": "why"}), NOW)
    assert (body["status"], body["error"]) == ("Failed", {"message": "why"})


def test_a_compute_operation_says_status_and_percentage_only() -> None:
    assert operations.compute_wire(operation(NOW), NOW) == {"status": "Succeeded", "percentComplete": 100.0}
