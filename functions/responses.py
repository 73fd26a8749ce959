"""HTTP answers: JSON, and errors as RFC 9457 problem details. One table maps errors to statuses."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import azure.functions as func
import msgspec

from functions.observed import observed
from shared.azureml.trouble import understood
from shared.errors import (
    AccessDeniedError,
    ActionRefusedError,
    DatasetGoneError,
    EndpointNotFoundError,
    FinetuneError,
    InvalidRequestError,
    LeaseLostError,
    OptionsError,
    RefusedByAzureError,
    ResourceGoneError,
    RunBusyError,
    RunNotFoundError,
    SettingsError,
    SweepBusyError,
    SweepNotFoundError,
    TransientError,
)

STATUSES: Mapping[type[FinetuneError], HTTPStatus] = {
    InvalidRequestError: HTTPStatus.BAD_REQUEST,
    OptionsError: HTTPStatus.BAD_REQUEST,
    RunNotFoundError: HTTPStatus.NOT_FOUND,
    EndpointNotFoundError: HTTPStatus.NOT_FOUND,
    SweepNotFoundError: HTTPStatus.NOT_FOUND,
    DatasetGoneError: HTTPStatus.NOT_FOUND,
    ActionRefusedError: HTTPStatus.CONFLICT,
    RunBusyError: HTTPStatus.CONFLICT,
    SweepBusyError: HTTPStatus.CONFLICT,
    LeaseLostError: HTTPStatus.CONFLICT,
    ResourceGoneError: HTTPStatus.CONFLICT,
    RefusedByAzureError: HTTPStatus.BAD_GATEWAY,
    AccessDeniedError: HTTPStatus.BAD_GATEWAY,
    TransientError: HTTPStatus.SERVICE_UNAVAILABLE,
    SettingsError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""What a page may do: show its own styles and pictures. No script runs, whatever a conversation holds."""
Handler = Callable[[func.HttpRequest], func.HttpResponse]
_log = logging.getLogger(__name__)


def json_response(
    body: Any, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """Answer with JSON."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return func.HttpResponse(data, status_code=status, headers=dict(headers or {}), mimetype="application/json")


def page_response(page: bytes) -> func.HttpResponse:
    """Answer with a page that needs nothing but itself. It holds conversations, so that nobody is to keep a copy."""
    headers = {
        "Vary": "Accept",
        "Cache-Control": "no-store",
        "Content-Security-Policy": PAGE_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return func.HttpResponse(page, headers=headers, mimetype="text/html", charset="utf-8")


def problem(status: HTTPStatus, detail: str, kind: str) -> func.HttpResponse:
    """Answer with a problem: what happened, to which thing, what to do."""
    body = {"type": f"urn:finetune-functions:{kind}", "title": status.phrase, "status": status.value, "detail": detail}
    headers = {"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return func.HttpResponse(
        msgspec.json.encode(body), status_code=status.value, headers=headers, mimetype="application/problem+json"
    )


def answering(handler: Handler) -> Handler:
    """Turn a handler's errors into problems; no traceback reaches a caller."""

    @observed("http")
    @functools.wraps(handler)
    def answer(req: func.HttpRequest) -> func.HttpResponse:  # the worker passes arguments by the binding's name
        try:
            with understood(handler.__name__):
                return handler(req)
        except FinetuneError as fault:
            return problem(_status_of(fault), str(fault), _kind_of(fault))
        except Exception as fault:  # noqa: BLE001 - logged with its traceback, answered without
            _log.exception("%s failed", handler.__name__)
            text = f"Unexpected {type(fault).__name__}. The app's log has the details."
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, text, "unexpected")

    return answer


def _status_of(fault: FinetuneError) -> HTTPStatus:
    return next((STATUSES[kind] for kind in type(fault).__mro__ if kind in STATUSES), HTTPStatus.INTERNAL_SERVER_ERROR)


def _kind_of(fault: FinetuneError) -> str:
    """Return the error's name for programs: RunNotFoundError -> run-not-found."""
    name = type(fault).__name__.removesuffix("Error")
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
