"""HTTP functions: find the one whose route matches, translate request and response as the host does."""

import json
from collections.abc import Iterable
from http.cookies import SimpleCookie
from typing import Any

from azure.functions import meta

from local.functions_host.host_rules import methods
from local.functions_host.invocation import Result
from local.functions_host.model import Function
from local.functions_host.routes import Route
from local.functions_host.wire import Answer, Request


class HttpRoutes:
    """The HTTP functions of an app behind one prefix."""

    def __init__(self, functions: Iterable[Function], prefix: str) -> None:
        self._prefix = [part.lower() for part in prefix.split("/") if part]
        routes = [(Route(str(function.trigger.get("route", function.name))), function) for function in functions]
        self._routes = sorted(routes, key=lambda one: one[0].precedence)

    def find(self, method: str, path: str) -> tuple[Function, dict[str, str]] | None:
        """Return the function and its route parameters. A wrong method is no match (404), as in the host."""
        segments = path.strip("/").split("/")
        count = len(self._prefix)
        if [segment.lower() for segment in segments[:count]] != self._prefix:
            return None
        rest = "/".join(segments[count:])
        for route, function in self._routes:
            allowed = methods(function)
            values = route.match(rest) if not allowed or method.upper() in allowed else None
            if values is not None:
                return function, values
        return None


def request_datum(request: Request, route_parameters: dict[str, str]) -> meta.Datum:
    """Build what the worker receives: header names in lower case, duplicates joined, empty query values dropped."""
    return meta.Datum(
        {
            "method": _text(request.method),
            "url": _text(request.url),
            "headers": _joined((name.lower(), value) for name, value in request.headers),
            "query": _joined((name, value) for name, value in request.query if value),
            "params": {name: _text(value) for name, value in route_parameters.items()},
            "body": meta.Datum(request.body, "bytes"),
        },
        "http",
    )


def _text(value: str) -> meta.Datum:
    return meta.Datum(value, "string")


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, meta.Datum]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: _text(",".join(several)) for name, several in values.items()}


def answer(result: Result) -> Answer:
    """Translate a function's result. A failure is a 500 with an empty body: the reason is only in the log."""
    if not result.ok:
        return Answer(500)
    datum = result.value
    if datum is None or datum.value is None:
        return Answer(204)
    if datum.type == "http":
        return _from_response(datum.value)
    return _from_text(str(datum.value))


def _from_response(value: dict[str, Any]) -> Answer:
    headers = [(name, header.value) for name, header in value["headers"].items()]
    cookies: list[SimpleCookie] = value.get("cookies") or []
    headers += [("set-cookie", morsel.OutputString()) for cookie in cookies for morsel in cookie.values()]
    return Answer(int(value["status_code"].value), value["body"].value or b"", tuple(headers))


def _from_text(text: str) -> Answer:
    # The host takes a str that is a JSON object with a `body` as a whole response: a trap that apps should meet here.
    document = _response_object(text)
    if document is None:
        return Answer(200, text.encode(), (("content-type", "text/plain; charset=utf-8"),))
    body = document["body"]
    is_text = isinstance(body, str)
    content_type = "text/plain; charset=utf-8" if is_text else "application/json; charset=utf-8"
    headers = {"content-type": content_type} | {
        str(name).lower(): str(value) for name, value in (document.get("headers") or {}).items()
    }
    status = int(document.get("status") or document.get("statuscode") or 200)
    return Answer(status, (body if is_text else json.dumps(body)).encode(), tuple(headers.items()))


def _response_object(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    document = {str(name).lower(): value for name, value in document.items()}
    return document if "body" in document else None
