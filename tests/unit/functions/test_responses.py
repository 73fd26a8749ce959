import json
import logging

import azure.functions as func
import pytest

from functions.responses import STATUSES, answering
from shared import errors
from shared.errors import (
    ActionRefusedError,
    DeploymentFailedError,
    FinetuneError,
    InvalidRequestError,
    RunNotFoundError,
    TransientError,
)

REQUEST = func.HttpRequest(method="GET", url="/api/x", body=b"")


def answer_to(fault: Exception) -> func.HttpResponse:
    @answering
    def handler(req: func.HttpRequest) -> func.HttpResponse:
        raise fault

    return handler(REQUEST)


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        (InvalidRequestError("x"), 400, "invalid-request"),
        (RunNotFoundError("r"), 404, "run-not-found"),
        (ActionRefusedError("x"), 409, "action-refused"),
        (TransientError("x"), 503, "transient"),
        (DeploymentFailedError("x"), 500, "deployment-failed"),
    ],
)
def test_errors_become_problem_details(fault: FinetuneError, status: int, kind: str) -> None:
    response = answer_to(fault)
    body = json.loads(response.get_body())
    assert response.mimetype == "application/problem+json"
    assert (response.status_code, body["status"], body["type"]) == (status, status, f"urn:finetune-functions:{kind}")
    assert body["detail"] == str(fault)


def test_an_unexpected_error_is_logged_but_its_traceback_is_not_answered(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = answer_to(KeyError("secret"))
    assert response.status_code == 500
    assert b"secret" not in response.get_body()
    assert "KeyError" in caplog.text


def test_only_known_error_classes_have_a_status() -> None:
    assert all(getattr(errors, kind.__name__) is kind for kind in STATUSES)
