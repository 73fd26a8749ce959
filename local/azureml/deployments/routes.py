"""Online deployments: method and path to handler."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml import operations
from local.azureml.arm import location_header
from local.azureml.deployments import logs, store, wire
from local.azureml.http import ARM, empty_response, json_response, threaded
from local.azureml.services import Services


def routes(services: Services) -> list[Route]:
    def which(request: Request) -> tuple[str, str]:
        return request.path_params["endpoint"], request.path_params["deployment"]

    def list_(request: Request, _: dict[str, Any]) -> Response:
        found = store.list_all(services, request.path_params["endpoint"])
        return json_response({"value": [wire.deployment(doc, services.now()) for doc in found]})

    def get(request: Request, _: dict[str, Any]) -> Response:
        return json_response(wire.deployment(store.get(services, *which(request)), services.now()))

    def put(request: Request, payload: dict[str, Any]) -> Response:
        endpoint, name = which(request)
        api_version = request.query_params.get("api-version", "")
        doc, operation = store.put(services, endpoint, name, wire.read(name, payload), api_version)
        location = location_header(request, services.config.base_url)
        headers = operations.headers(services, operation, api_version, location)
        return json_response(wire.deployment(doc, services.now()), 201, headers)

    def delete(request: Request, _: dict[str, Any]) -> Response:
        endpoint, name = which(request)
        if store.find(services, endpoint, name) is None:
            return empty_response(204)
        operation = store.delete(services, endpoint, name)
        api_version = request.query_params.get("api-version", "")
        return json_response(None, 202, operations.headers(services, operation, api_version))

    def get_logs(request: Request, payload: dict[str, Any]) -> Response:
        doc = store.get(services, *which(request))
        tail = payload.get("tail")
        text = logs.read(services.config.state_dir, doc, payload.get("containerType"), tail if tail else 100)
        return json_response({"content": text})

    base = f"{ARM}/onlineEndpoints/{{endpoint}}/deployments"
    one = f"{base}/{{deployment}}"
    return [
        Route(base, threaded(list_)),
        Route(one, threaded(get)),
        Route(one, threaded(put), methods=["PUT"]),
        Route(one, threaded(delete), methods=["DELETE"]),
        Route(f"{one}/getLogs", threaded(get_logs), methods=["POST"]),
    ]
