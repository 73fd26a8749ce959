"""Azure's manners over HTTP: error bodies, JSON as the service prints it, times, and how handlers are written."""

import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from local import names

ARM = (
    "/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
)
LOCATIONS = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"

Handler = Callable[[Request], Awaitable[Response]]
SyncHandler = Callable[[Request, dict[str, Any]], Response]


class AzureError(Exception):
    """A refusal in Azure's shape.

    Args: details: (code, message) pairs. inner: the codes of the InnerError chain, outermost first.
    arm: Azure Resource Manager's own short body (code and message only) instead of the service's long one.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Iterable[tuple[str, str]] = (),
        inner: Iterable[str] = (),
        *,
        arm: bool = False,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.inner = tuple(inner)
        self.arm = arm


def error_body(error: AzureError, now: datetime) -> dict[str, Any]:
    """Write the body Azure ML's managementfrontend sends with a refusal."""
    if error.arm:
        return {"error": {"code": error.code, "message": error.message}}
    correlation = {"operation": secrets.token_hex(16), "request": secrets.token_hex(8)}
    info: list[tuple[str, Any]] = [
        ("ComponentName", "managementfrontend"),
        ("Correlation", correlation),
        ("Environment", names.LOCATION),
        ("Location", names.LOCATION),
        ("Time", timestamp(now)),
    ]
    if error.inner:
        info.append(("InnerError", _chain(error.inner)))
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "details": [
                {"code": code, "message": message, "details": [], "additionalInfo": []}
                for code, message in error.details
            ],
            "additionalInfo": [{"type": kind, "info": {"value": value}} for kind, value in info],
        }
    }


def _chain(codes: tuple[str, ...]) -> dict[str, Any] | None:
    return {"code": codes[0], "innerError": _chain(codes[1:])} if codes else None


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer JSON the way Azure prints it: indented by two. The server adds the ARM headers."""
    content = json.dumps(body, indent=2, ensure_ascii=False).encode()
    return Response(content, status, headers, media_type="application/json; charset=utf-8")


def empty_response(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(b"", status, headers)


async def body(request: Request) -> dict[str, Any]:
    """Read the request's JSON object; no body at all reads as an empty one.

    Raises: AzureError: 400 when the body is anything else.
    """
    raw = await request.body()
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw)
    except ValueError as fault:
        message = f"The request content was invalid and could not be deserialized: '{fault}'."
        raise AzureError(400, "InvalidRequestContent", message, arm=True) from fault
    if not isinstance(value, dict):
        message = f"The request content must be a JSON object, not {type(value).__name__}."
        raise AzureError(400, "InvalidRequestContent", message, arm=True)
    return value


def threaded(handler: SyncHandler) -> Handler:
    """Turn `handler(request, payload)`, which may block, into the async handler that starlette calls."""

    async def run(request: Request) -> Response:
        return await run_in_threadpool(handler, request, await body(request))

    return run


def timestamp(moment: datetime) -> str:
    """Print a time as Azure ML does: 2022-10-28T19:14:54.254161+00:00."""
    return moment.isoformat(timespec="microseconds")
