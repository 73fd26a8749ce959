"""From what arrives to values: Event Grid's two schemas, JSON bodies, query parameters."""

from __future__ import annotations

from typing import Any, TypeVar

import azure.functions as func
import msgspec

from shared import typed
from shared.errors import InvalidRequestError

JOB_EVENT_TYPES = frozenset(
    {
        "Microsoft.MachineLearningServices.RunCompleted",
        "Microsoft.MachineLearningServices.RunStatusChanged",
    }
)
T = TypeVar("T", bound=msgspec.Struct)


class StartRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /runs. options: as in finetune.yaml."""

    dataset: str
    options: dict[str, Any] = {}


class ChatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /runs/{id}/chat. parameters: as Azure's chat models take them, such as max_new_tokens."""

    messages: list[dict[str, str]]
    parameters: dict[str, str | int | float | bool] = {}


def job_of(event: Any) -> str | None:
    """Return the job or step that an event is about, None for events of other kinds.

    The worker hands over an EventGridEvent or, when the body has `specversion`, a CloudEvent, whatever the annotation.
    """
    kind = getattr(event, "event_type", None) or getattr(event, "type", None)
    if kind not in JOB_EVENT_TYPES:
        return None
    data = event.get_json()
    run_id = data.get("runId") if isinstance(data, dict) else None
    return run_id if isinstance(run_id, str) else None


def body_of(request: func.HttpRequest, form: type[T]) -> T:
    """Read a JSON body. Raises: InvalidRequestError: says which field is wrong."""
    try:
        return typed.decode(request.get_body() or b"{}", form)
    except msgspec.ValidationError as fault:
        raise InvalidRequestError(f"The body does not fit: {fault}") from fault
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise InvalidRequestError(f"The body is not JSON: {fault}") from fault


def flag(request: func.HttpRequest, name: str) -> bool:
    """Read a true/false query parameter; absent is false. Raises: InvalidRequestError."""
    text = str(request.params.get(name, "false")).lower()
    if text not in ("true", "false"):
        raise InvalidRequestError(f"{name} is {text!r}, expected true or false")
    return text == "true"


def count(request: func.HttpRequest, name: str, *, default: int, most: int) -> int:
    """Read a count from the query. Raises: InvalidRequestError."""
    text = request.params.get(name, str(default))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise InvalidRequestError(f"{name} is {text!r}, expected a whole number from 1 to {most}")
    return int(text)


def amount(request: func.HttpRequest, name: str, *, default: float, most: float) -> float:
    """Read a number, 0 or more, from the query. Raises: InvalidRequestError."""
    text = request.params.get(name, f"{default:g}")
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise InvalidRequestError(f"{name} is {text!r}, expected a number from 0 to {most:g}")
    return value


def wants_page(request: func.HttpRequest) -> bool:
    """Tell whether HTML is wanted rather than JSON: `format`, if given, else what the Accept header prefers.

    On equal terms JSON wins: programs say that they take anything, browsers name text/html first.
    Raises: InvalidRequestError: `format` is something else.
    """
    form = request.params.get("format")
    if form is None:
        accepted = _accepted(request.headers.get("Accept") or "*/*")
        return _quality(accepted, "text/html") > _quality(accepted, "application/json")
    if form not in ("html", "json"):
        raise InvalidRequestError(f"format is {form!r}, expected html or json")
    return bool(form == "html")


def _accepted(header: str) -> dict[str, float]:
    """Read an Accept header: media range -> how much it is liked, 0 to 1. What is malformed is overlooked."""
    accepted = {}
    for part in header.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        weights = [value for name, _, value in (p.partition("=") for p in parameters) if name.strip() == "q"]
        try:
            accepted[media] = float(weights[0]) if weights else 1.0
        except ValueError:
            continue
    return accepted


def _quality(accepted: dict[str, float], media: str) -> float:
    """Return how much a media type is liked; the most specific range that covers it decides."""
    ranges = (media, f"{media.partition('/')[0]}/*", "*/*")
    return next((accepted[one] for one in ranges if one in accepted), 0.0)
