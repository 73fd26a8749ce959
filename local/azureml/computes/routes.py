"""Compute clusters, and what machines the region offers."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local import names
from local.azureml import catalog, faults, operations
from local.azureml.computes import state, wire
from local.azureml.http import ARM, LOCATIONS, empty_response, json_response, threaded
from local.azureml.services import Services

KIND = "compute"


def find(services: Services, name: str) -> dict[str, Any] | None:
    """Answer a cluster's document, or None when there is none (any more)."""
    doc = services.store.get(KIND, name.lower())
    return doc if doc is not None and state.exists(doc, services.now()) else None


def routes(services: Services) -> list[Route]:
    def list_(_: Request, __: dict[str, Any]) -> Response:
        now = services.now()
        found = [doc for _, doc in services.store.list(KIND) if state.exists(doc, now)]
        return json_response({"value": [wire.compute(doc["name"], doc, now) for doc in found]})

    def get(request: Request, _: dict[str, Any]) -> Response:
        doc = find(services, request.path_params["name"])
        # Recorded: an empty body, and "standard" although it is an error.
        if doc is None:
            return empty_response(404, {"x-ms-response-type": "standard"})
        return json_response(wire.compute(doc["name"], doc, services.now()))

    def put(request: Request, payload: dict[str, Any]) -> Response:
        name, now = request.path_params["name"], services.now()
        properties = wire.read(payload)
        _fail_on_request(services, properties)
        location = payload.get("location") or names.LOCATION
        doc = state.created(properties, location, payload.get("tags"), now, services.config.speed)
        old = find(services, name)
        doc = {**(state.updated(old, doc) if old else doc), "name": old["name"] if old else name}
        doc["fails"] = faults.cluster_failure(services.config.state_dir, _priority(properties), refused=False)
        services.store.put(KIND, name.lower(), doc)
        return json_response(wire.compute(name, doc, now), 201, _headers(request, state.CREATE_S))

    def delete(request: Request, _: dict[str, Any]) -> Response:
        name = request.path_params["name"]
        if find(services, name) is None:
            return empty_response(204)
        headers = _headers(request, state.DELETE_S)
        ends = state.deletion_end(services.now(), services.config.speed)
        services.store.update(KIND, name.lower(), lambda doc: {**doc, "delete_ends": ends})
        return empty_response(202, headers)

    def list_nodes(_: Request, __: dict[str, Any]) -> Response:
        return json_response({"nodes": []})

    def vm_sizes(request: Request, _: dict[str, Any]) -> Response:
        wanted = request.query_params.get("computeType", "").lower()
        found = [size for size in catalog.vm_sizes() if _suits(size, wanted)]
        return json_response({"value": found})

    def _headers(request: Request, seconds: float) -> dict[str, str]:
        operation = operations.begin(services, "", seconds)
        return operations.compute_headers(services, operation, request.query_params.get("api-version", ""))

    one = f"{ARM}/computes/{{name}}"
    return [
        Route(f"{ARM}/computes", threaded(list_)),
        Route(one, threaded(get)),
        Route(one, threaded(put), methods=["PUT"]),
        Route(one, threaded(delete), methods=["DELETE"]),
        Route(f"{one}/listNodes", threaded(list_nodes), methods=["POST"]),
        Route(f"{LOCATIONS}/vmSizes", threaded(vm_sizes)),
    ]


def _suits(size: dict[str, Any], wanted: str) -> bool:
    return not wanted or wanted in (kind.lower() for kind in size["supportedComputeTypes"])


def _fail_on_request(services: Services, properties: dict[str, Any]) -> None:
    message = faults.cluster_failure(services.config.state_dir, _priority(properties), refused=True)
    if message is not None:
        raise wire.invalid(message)


def _priority(properties: dict[str, Any]) -> str:
    return str(properties["properties"].get("vmPriority", "Dedicated"))
