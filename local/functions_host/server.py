"""The gateway behind HTTP (ASGI)."""

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from local.functions_host import wire
from local.functions_host.gateway import Gateway

MAX_BODY = 100 * 1024 * 1024
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def application(gateway: Gateway) -> Starlette:
    """Return the ASGI application of a gateway."""

    async def handle(request: Request) -> Response:
        length = int(request.headers.get("content-length") or 0)
        if length > MAX_BODY:
            return Response(status_code=413)
        try:
            # The host reads a body only when its length is announced: a chunked request arrives empty.
            body = await request.body() if length else b""
        except ClientDisconnect:
            return Response(status_code=400)
        return _response(await gateway.answer(_request(request, body)))

    return Starlette(routes=[Route("/{path:path}", handle, methods=_METHODS)])


def _request(request: Request, body: bytes) -> wire.Request:
    # Starlette decodes the path for its own routing; functions and route parameters need it as it was sent.
    raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    path = raw_path.split(b"?")[0].decode("latin-1")
    return wire.Request(
        method=request.method,
        url=str(request.url.replace(path=path)),
        path=path,
        query=tuple(request.query_params.multi_items()),
        headers=tuple(request.headers.items()),
        body=body,
    )


def _response(answer: wire.Answer) -> Response:
    response = Response(answer.body, answer.status)
    for name, value in answer.headers:
        if name.lower() != "content-length":
            response.headers.append(name, value)
    return response
