"""The faults over HTTP: GET, POST and DELETE /local/faults of the emulator. It needs no token, as all of /local."""

import json
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.faults import changes, scenarios
from local.faults.rules import RuleError

PATH = "/local/faults"


def routes(state_dir: Path) -> list[Route]:
    async def list_(_: Request) -> Response:
        return JSONResponse({"value": await run_in_threadpool(changes.listing, state_dir)})

    async def add(request: Request) -> Response:
        try:
            asked = _asked(await request.body())
            ids = await run_in_threadpool(changes.add, state_dir, asked)
        except RuleError as fault:
            return JSONResponse({"error": {"code": "BadRequest", "message": str(fault)}}, 400)
        return JSONResponse({"ids": ids}, 201)

    async def clear(_: Request) -> Response:
        await run_in_threadpool(changes.clear, state_dir)
        return Response(status_code=204)

    async def remove(request: Request) -> Response:
        name = request.path_params["id"]
        if await run_in_threadpool(changes.remove, state_dir, name):
            return Response(status_code=204)
        return JSONResponse({"error": {"code": "NotFound", "message": f"There is no fault {name}."}}, 404)

    return [
        Route(PATH, list_, methods=["GET"]),
        Route(PATH, add, methods=["POST"]),
        Route(PATH, clear, methods=["DELETE"]),
        Route(f"{PATH}/{{id}}", remove, methods=["DELETE"]),
    ]


def _asked(body: bytes) -> dict[str, Any]:
    """Read {"KIND": rule or [rules], ...}, or {"scenario": NAME, ...}. Raises: RuleError."""
    try:
        document = json.loads(body)
    except ValueError as fault:
        raise RuleError(f"the body is not JSON: {fault}") from fault
    if not isinstance(document, dict) or not document:
        raise RuleError('the body must be a JSON object such as {"requests": {"status": 429, "seconds": 120}}')
    if "scenario" in document:
        return scenarios.from_document(document)
    return document
