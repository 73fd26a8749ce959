"""What Azure says when it is not well: statuses with their bodies.

Sources: error-429-throttled and error-400-deployment-quota as recorded; 500 of the control plane and of run history as
users quote them (azure-sdk-for-python issues 39772 and 29024). Bodies of other statuses have Azure's shape only.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from local import names
from local.azureml.deployments.wire import out_of_quota
from local.azureml.http import AzureError, error_body
from local.faults.rules import QUOTA, RequestFault

_RECORDED_WAIT_S = 20
_KNOWN = {status.value for status in HTTPStatus}
_SCORING = {429: "Too many pending requests", 503: "no healthy upstream", 408: "upstream request timeout"}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def answer(rule: RequestFault, plane: str, sent: bytes, now: datetime) -> Answer:
    """Return what a refused request is answered. `sent`: the request's body; a quota refusal names its size."""
    assert rule.status is not None, "only a rule with a status answers"
    headers = {"x-ms-response-type": "error"}
    if rule.retry_after is not None:
        headers["Retry-After"] = f"{rule.retry_after:g}"
    if rule.status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Connection"] = "close"
    if plane == "scoring" and rule.body is None:
        text = _SCORING.get(rule.status, "The request failed on request.")
        return Answer(rule.status, headers | {"content-type": "text/plain"}, text.encode())
    body = json.dumps(_document(rule, rule.status, plane, sent, now), indent=2).encode()
    return Answer(rule.status, headers | {"content-type": "application/json; charset=utf-8"}, body)


def _document(rule: RequestFault, status: int, plane: str, sent: bytes, now: datetime) -> dict[str, Any]:
    if isinstance(rule.body, dict):
        return rule.body
    name = HTTPStatus(status).phrase.replace(" ", "") if status in _KNOWN else f"Status{status}"
    if rule.body != QUOTA and status >= HTTPStatus.INTERNAL_SERVER_ERROR and plane == "data":
        return _run_history_error(name, now)
    return error_body(_error(rule, status, name, sent), now)


def _error(rule: RequestFault, status: int, name: str, sent: bytes) -> AzureError:
    if rule.body == QUOTA:
        return out_of_quota(_size(sent))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait_s = _RECORDED_WAIT_S if rule.retry_after is None else rule.retry_after
        message = f"Received too many requests in a short amount of time. Retry again after {wait_s:g} seconds."
        return AzureError(status, "UserError", message, inner=("QuotaExceeded", "TooManyRequests"))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return AzureError(status, "ServiceError", f"Received {status} from a service request", [(name, "")])
    return AzureError(status, name, f"The request is refused on request ({status}).")


def _size(sent: bytes) -> str:
    try:
        return str(json.loads(sent)["properties"]["instanceType"])
    except (ValueError, KeyError, TypeError):
        return "Standard_F4s_v2"


def _run_history_error(name: str, now: datetime) -> dict[str, Any]:
    nulls = ("severity", "messageFormat", "messageParameters", "referenceCode", "detailsUri", "target")
    more = ("innerError", "debugInfo", "additionalInfo")
    return {
        "error": {
            "code": "ServiceError",
            "message": name,
            "details": [],
            **dict.fromkeys((*nulls, *more)),
        },
        "correlation": {"operation": secrets.token_hex(16), "request": secrets.token_hex(8)},
        "environment": names.LOCATION,
        "location": names.LOCATION,
        "time": now.isoformat(timespec="microseconds"),
        "componentName": "run-history",
    }
