"""Long-running operations: what Azure-AsyncOperation headers point to.

An operation either has its end set when it begins (the service's own delays, divided by --speed), or it is ended
by what really happened (a deployment's process answered, or died). Reading one never moves it.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local import names
from local.azureml.http import LOCATIONS, AzureError, empty_response, json_response, threaded, timestamp
from local.azureml.services import Services

KIND = "operation"
_STATUS = "mfeOperationsStatus"
_RESULTS = "mfeOperationResults"
_COMPUTE_STATUS = "computeOperationsStatus"


def begin(services: Services, prefix: str, seconds: float | None) -> str:
    """Record an operation and answer its id.

    Args: prefix: "oe" (online endpoint), "od" (online deployment), "" (compute).
    seconds: how long Azure itself takes; None when something real will call `finish`.
    """
    operation = str(uuid.uuid4()) if not prefix else f"{prefix}:{names.WORKSPACE_GUID}:{uuid.uuid4()}"
    now = services.now()
    ends = None if seconds is None else timestamp(now + timedelta(seconds=seconds / services.config.speed))
    services.store.put(KIND, operation, {"started": timestamp(now), "ends": ends, "error": None})
    return operation


def finish(services: Services, operation: str, error: dict[str, Any] | None = None) -> None:
    """End an operation now, with success or with Azure's error object."""
    end = timestamp(services.now())
    services.store.update(KIND, operation, lambda doc: {**doc, "ends": end, "error": error})


def ended_at(operation: dict[str, Any], now: datetime) -> str | None:
    """Answer when the operation ended, or None while it runs."""
    ends = operation["ends"]
    return ends if ends is not None and datetime.fromisoformat(ends) <= now else None


def purge(services: Services, before: datetime) -> None:
    """Forget the operations that ended before a moment."""
    for key, doc in services.store.list(KIND):
        if ended_at(doc, before) is not None:
            services.store.delete(KIND, key)


def status_url(services: Services, operation: str, api_version: str) -> str:
    return _url(services, _STATUS, operation, api_version)


def headers(services: Services, operation: str, api_version: str, location: str | None = None) -> dict[str, str]:
    """Answer the headers of a 201 or 202; without `location` it is that of a deletion."""
    return {
        "Azure-AsyncOperation": status_url(services, operation, api_version),
        "Location": location or _url(services, _RESULTS, operation, api_version),
        "x-ms-async-operation-timeout": "PT30M",
    }


def compute_headers(services: Services, operation: str, api_version: str) -> dict[str, str]:
    return {"Azure-AsyncOperation": _url(services, _COMPUTE_STATUS, operation, api_version) + "&service=new"}


def _path(kind: str, operation: str) -> str:
    provider = f"{names.SUBSCRIPTION_ID}/providers/{names.PROVIDER}"
    return f"{provider}/locations/{names.LOCATION}/{kind}/{operation}"


def _url(services: Services, kind: str, operation: str, api_version: str) -> str:
    return f"{services.config.base_url}{_path(kind, operation)}?api-version={api_version}"


def wire(operation_id: str, operation: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Write an operation's body. `Updating` covers creating and deleting too, and percentComplete never moves."""
    answer: dict[str, Any] = {
        "id": _path(_STATUS, operation_id),
        "name": operation_id,
        "startTime": operation["started"],
    }
    end = ended_at(operation, now)
    if end is None:
        return {**answer, "percentComplete": 0.0, "status": "Updating"}
    answer |= {"endTime": end, "percentComplete": 100.0}
    if operation["error"] is not None:
        return {**answer, "status": "Failed", "error": operation["error"]}
    return {**answer, "status": "Succeeded"}


def compute_wire(operation: dict[str, Any], now: datetime) -> dict[str, Any]:
    if ended_at(operation, now) is None:
        return {"status": "InProgress", "percentComplete": 0.0}
    if operation["error"] is not None:
        return {"status": "Failed", "percentComplete": 100.0, "error": operation["error"]}
    return {"status": "Succeeded", "percentComplete": 100.0}


def routes(services: Services) -> list[Route]:
    def found(request: Request) -> tuple[str, dict[str, Any]]:
        operation = request.path_params["operation"]
        doc = services.store.get(KIND, operation)
        if doc is None:
            raise AzureError(404, "NotFound", f"There is no operation with id: {operation}")
        return operation, doc

    def status(request: Request, _: dict[str, Any]) -> Response:
        return json_response(wire(*found(request), services.now()))

    def result(request: Request, _: dict[str, Any]) -> Response:
        running = ended_at(found(request)[1], services.now()) is None
        return empty_response(202 if running else 204)

    def compute_status(request: Request, _: dict[str, Any]) -> Response:
        return json_response(compute_wire(found(request)[1], services.now()))

    return [
        Route(f"{LOCATIONS}/{_STATUS}/{{operation}}", threaded(status)),
        Route(f"{LOCATIONS}/{_RESULTS}/{{operation}}", threaded(result)),
        Route(f"{LOCATIONS}/{_COMPUTE_STATUS}/{{operation}}", threaded(compute_status)),
    ]
