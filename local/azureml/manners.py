"""What Azure does around every request: paths, tokens, scopes, headers, refusals."""

import logging
import re
import time
import uuid
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.azureml import arm, identity
from local.azureml.http import AzureError, error_body, json_response
from local.azureml.services import Services

_LOG = logging.getLogger(__name__)
# Paths that need no token: metadata, and those with a secret of their own (keys, signed URLs).
_OPEN = re.compile(r"/(local|metadata|discovery|inference|logs|[^/]*\.blob\.core\.windows\.net)(/|$)", re.IGNORECASE)
_SCOPE = re.compile(
    r"(?P<service>.*?)/subscriptions/(?P<subscription>[^/]+)(?:/resourceGroups/(?P<group>[^/]+))?"
    r"(?:/providers/Microsoft\.MachineLearningServices/workspaces/(?P<workspace>[^/]+))?",
    re.IGNORECASE,
)
# Azure Resource Manager's paths, Microsoft.Insights' metrics among them; all others are Azure ML's data plane.
_ARM_PATH = re.compile(r"/(subscriptions|providers)(/|$)", re.IGNORECASE)
_DATA_PLANE_AUDIENCE = "https://ml.azure.com"
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_REMAINING = {
    "GET": ("reads", "11999"),
    "PUT": ("writes", "1199"),
    "POST": ("writes", "1199"),
    "DELETE": ("deletes", "14999"),
}


def ignore_case(route: Route) -> Route:
    """Let a route match whatever the case of the path: Azure Resource Manager's ids are case-insensitive."""
    route.path_regex = re.compile(route.path_regex.pattern, re.IGNORECASE)
    return route


class Manners:
    """Pure ASGI middleware: sees every request first and every response last."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Clients that join a base URL and an ARM id send two slashes; Azure's front ends take them as one.
        path = re.sub(r"^/{2,}", "/", scope["path"])
        scope = {**scope, "path": path, "raw_path": None}
        started = time.perf_counter()

        async def decorated(message: Message) -> None:
            if message["type"] == "http.response.start" and not _OPEN.match(path):
                _decorate(MutableHeaders(scope=message), scope, message["status"], started)
            await send(message)

        refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, decorated)

    async def _refusal(self, scope: Scope) -> Response | None:
        if _OPEN.match(scope["path"]):
            return None
        try:
            header = Headers(scope=scope).get("Authorization")
            await run_in_threadpool(check_token, self._services, header, scope["path"])
            _check_scope(scope["path"])
        except AzureError as error:
            return refused(self._services, error)
        return None


def check_token(services: Services, header: str | None, path: str) -> None:
    """Let in who bears a token of this emulator's identity endpoint that was made for this side of Azure.

    Raises: AzureError: 401 in the words of Azure Resource Manager.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        message = "Authentication failed. The 'Authorization' header is missing."
        raise AzureError(401, "AuthenticationFailed", message, arm=True)
    claims = identity.claims_of(services, token.strip())
    _check_audience(str(claims["aud"]), audiences(services, path))


def audiences(services: Services, path: str) -> tuple[str, ...]:
    """Answer whom a token may be made for. The SDK takes either to the data plane: it depends on how it is steered."""
    resource_manager = services.config.base_url
    return (resource_manager,) if _ARM_PATH.match(path) else (resource_manager, _DATA_PLANE_AUDIENCE)


def _check_audience(found: str, allowed: tuple[str, ...]) -> None:
    if found.removesuffix("/.default").rstrip("/").lower() in allowed:
        return
    both_ways = ",".join(f"'{one}/','{one}'" for one in allowed)
    message = (
        f"The access token has been obtained for wrong audience or resource '{found}'. "
        f"It should exactly match with one of the allowed audiences {both_ways}."
    )
    raise AzureError(401, "InvalidAuthenticationTokenAudience", message, arm=True)


def _check_scope(path: str) -> None:
    match = _SCOPE.match(path)
    # The registry lies in a subscription of its own, under /mferp; its routes check its name.
    if match is not None and not match["service"].lower().startswith("/mferp"):
        arm.check_scope(match["subscription"], match["group"], match["workspace"])


def _decorate(headers: MutableHeaders, scope: Scope, status: int, started: float) -> None:
    request_id = str(uuid.uuid4())
    headers.setdefault("x-ms-response-type", "standard" if status < 400 else "error")
    headers.setdefault("x-request-time", f"{time.perf_counter() - started:.3f}")
    if not scope["path"].lower().startswith("/subscriptions"):
        return
    headers.setdefault("x-ms-correlation-request-id", request_id)
    headers.setdefault(
        "x-ms-routing-request-id", f"LOCAL:{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}:{request_id}"
    )
    kind, left = _REMAINING.get(scope["method"], ("reads", "11999"))
    if scope["method"] == "PUT" and "/deployments/" in scope["path"]:
        kind, left = "resource-requests", "24"
    headers.setdefault(f"x-ms-ratelimit-remaining-subscription-{kind}", left)


def refused(services: Services, error: AzureError) -> Response:
    return json_response(error_body(error, services.now()), error.status)


def exception_handlers(services: Services) -> dict[Any, Any]:
    """Map refusals and faults to Azure's error body."""

    async def refusal(_: Request, error: Exception) -> Response:
        assert isinstance(error, AzureError)
        return refused(services, error)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            return _not_implemented(services, request)
        return refused(services, AzureError(error.status_code, "BadRequest", error.detail, arm=True))

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=400)  # nobody reads it: the client went away in the middle of its request

    async def fault(request: Request, error: Exception) -> Response:
        _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        message = f"The emulator has a fault: {type(error).__name__}: {error}"
        return refused(services, AzureError(500, "InternalServerError", message))

    return {AzureError: refusal, HTTPException: http, ClientDisconnect: gone, Exception: fault}


def unknown_route(services: Services) -> Route:
    """Answer 501, naming the route, to everything that no other route has taken."""

    async def handler(request: Request) -> Response:
        return _not_implemented(services, request)

    return Route("/{path:path}", handler, methods=_METHODS)


def _not_implemented(services: Services, request: Request) -> Response:
    message = f"This emulator does not implement {request.method} {request.url.path}"
    return refused(services, AzureError(501, "NotImplemented", message, arm=True))
