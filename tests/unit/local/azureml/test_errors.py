"""Azure's error bodies."""

from datetime import UTC, datetime

from local.azureml.http import AzureError, error_body

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_the_services_body_has_details_and_a_chain() -> None:
    error = AzureError(400, "UserError", "no", [("Detail", "why")], ("BadArgument", "Deep"))
    body = error_body(error, NOW)["error"]
    assert body["details"] == [{"code": "Detail", "message": "why", "details": [], "additionalInfo": []}]
    infos = {info["type"]: info["info"]["value"] for info in body["additionalInfo"]}
    assert list(infos) == ["ComponentName", "Correlation", "Environment", "Location", "Time", "InnerError"]
    assert infos["InnerError"] == {"code": "BadArgument", "innerError": {"code": "Deep", "innerError": None}}


def test_resource_managers_body_is_short() -> None:
    assert error_body(AzureError(404, "X", "y", arm=True), NOW) == {"error": {"code": "X", "message": "y"}}
