"""A subscriber of the app's own events, so that a person can watch: STATE/eventgrid/received.jsonl keeps what it gets.

It is a webhook as anybody's: behind a subscription, with the handshake of CloudEvents, and it may get an event twice.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.eventgrid.events import EventError, parse
from local.eventgrid.journal import Journal

PATH = "/local/subscriber"


def file(state_dir: Path) -> Path:
    """Return where received events are kept."""
    return state_dir / "eventgrid" / "received.jsonl"


def routes(state_dir: Path, now: Callable[[], datetime]) -> list[Route]:
    journal = Journal(file(state_dir))

    async def agree(request: Request) -> Response:
        origin = request.headers.get("webhook-request-origin", "*")
        return Response(headers={"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"})

    async def receive(request: Request) -> Response:
        try:
            events = parse(await request.body())
        except EventError as fault:
            return Response(str(fault), 400)
        received = now().isoformat()
        await run_in_threadpool(journal.write, [{"received": received, "event": event} for event in events])
        return Response(status_code=200)

    return [Route(PATH, agree, methods=["OPTIONS"]), Route(PATH, receive, methods=["POST"])]
