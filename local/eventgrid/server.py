"""The HTTP side: where publishers send events."""

import logging
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local import names
from local.eventgrid.broker import Broker, UnknownTopicError
from local.eventgrid.events import EventError, parse
from local.eventgrid.store import FullError

log = logging.getLogger("eventgrid")

MAX_BODY = 1024 * 1024
_SYSTEM_TOPICS = (names.STORAGE_TOPIC, names.WORKSPACE_TOPIC)


def application(broker: Broker, describe: Callable[[], dict[str, object]], more: Sequence[Route] = ()) -> Starlette:
    """Return the ASGI application. `describe` gives the body of the health address; `more` are other routes."""

    async def publish(request: Request) -> Response:
        topic = request.path_params["topic"]
        if topic not in _SYSTEM_TOPICS and not _is_authorized(request):
            return _error(401, "Unauthorized", "The request did not have an Authorization header, key or token.")
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        if len(body) > MAX_BODY:
            return _error(413, "RequestEntityTooLarge", f"The request has {len(body)} bytes; the limit is {MAX_BODY}.")
        try:
            await run_in_threadpool(lambda: broker.publish(topic, parse(body)))
        except EventError as error:
            return _error(400, "BadRequest", str(error))
        except UnknownTopicError as error:
            return _error(404, "NotFound", str(error))
        except FullError as error:
            return _error(503, "ServiceUnavailable", str(error), {"retry-after": "10"})
        return Response(status_code=200)

    async def health(request: Request) -> Response:
        del request
        return JSONResponse(await run_in_threadpool(describe))

    async def unknown(request: Request) -> Response:
        return _error(501, "NotImplemented", f"{request.method} {request.url.path} is not offered here.")

    return Starlette(
        routes=[
            Route("/topics/{topic}/api/events", publish, methods=["POST"]),
            Route("/local/health", health),
            *more,
            Route("/{path:path}", unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
        ]
    )


def _is_authorized(request: Request) -> bool:
    token = request.headers.get("authorization", "")
    return token.startswith(("Bearer ", "SharedAccessSignature ")) or any(
        request.headers.get(name) for name in ("aeg-sas-key", "aeg-sas-token")
    )


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)
