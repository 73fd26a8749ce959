"""The webhooks that Event Grid calls: handshake, notifications, unsubscription. Source: the EventGrid extension."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from azure.functions import meta

from local.functions_host.invocation import Call
from local.functions_host.model import Function
from local.functions_host.wire import Answer, Request, as_json, text

_KNOWN_ORIGIN = re.compile(r"^(.+\.)?eventgrid\.azure\.(net|us|cn)$", re.I)

Deliver = Callable[[list[dict[str, Any]]], Awaitable[Answer]]


async def webhook(request: Request, deliver: Deliver) -> Answer:
    """Answer one call of a webhook; `deliver` handles the events of a notification."""
    if request.method == "OPTIONS":
        origin = request.header("webhook-request-origin") or ""
        allowed = origin if _KNOWN_ORIGIN.match(origin) else "eventgrid.azure.net"
        return Answer(200, headers=(("webhook-allowed-origin", allowed),))
    kind = (request.header("aeg-event-type") or "").lower()
    if kind == "unsubscribe":
        return Answer(202)
    if kind not in ("subscriptionvalidation", "notification"):
        return Answer(400)
    try:
        events = _events(request.body)
    except ValueError as error:
        return text(400, str(error))
    if kind == "subscriptionvalidation":
        return as_json(200, {"validationResponse": _validation_code(events[0])})
    return await deliver(events)


def _events(body: bytes) -> list[dict[str, Any]]:
    document = json.loads(body)
    events = document if isinstance(document, list) else [document]
    if not events or not all(isinstance(event, dict) for event in events):
        raise ValueError("The body is not an event or a list of events.")
    return events


def _validation_code(event: dict[str, Any]) -> Any:
    data = event.get("data")
    if isinstance(data, str):
        data = json.loads(data)
    return (data or {}).get("validationCode")


def call(function: Function, event: dict[str, Any]) -> Call:
    """Return the invocation that one event asks for."""
    content = json.dumps(event)
    metadata = {"data": meta.Datum(json.dumps(event.get("data")), "json")}
    kind = event.get("eventType") or event.get("type")
    return Call(function, meta.Datum(content, "json"), metadata, reason=f"event {kind} {event.get('id')}")
