"""Online endpoints: method and path to handler."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml import identity, operations
from local.azureml.arm import location_header
from local.azureml.endpoints import state, store, wire
from local.azureml.http import ARM, empty_response, json_response, threaded
from local.azureml.services import Services

_KEY_TYPES = {"primary": "primaryKey", "secondary": "secondaryKey"}


def routes(services: Services) -> list[Route]:
    def write(doc: dict[str, Any]) -> dict[str, Any]:
        return wire.endpoint(doc["name"], doc, services.now(), services.config.base_url)

    def list_(_: Request, __: dict[str, Any]) -> Response:
        return json_response({"value": [write(doc) for doc in store.list_all(services)]})

    def get(request: Request, _: dict[str, Any]) -> Response:
        return json_response(write(store.get(services, request.path_params["endpoint"])))

    def put(request: Request, payload: dict[str, Any]) -> Response:
        name = request.path_params["endpoint"]
        api_version = request.query_params.get("api-version", "")
        doc, operation = store.put(services, name, wire.read(name, payload), api_version)
        location = location_header(request, services.config.base_url)
        return json_response(write(doc), 201, operations.headers(services, operation, api_version, location))

    def delete(request: Request, _: dict[str, Any]) -> Response:
        name = request.path_params["endpoint"]
        if store.find(services, name) is None:
            return empty_response(204)
        return _accepted(request, store.delete(services, name))

    def list_keys(request: Request, _: dict[str, Any]) -> Response:
        doc = store.get(services, request.path_params["endpoint"])
        if doc["auth_mode"] != "Key":
            raise wire.invalid("InvalidAuthMode", f"Endpoint {doc['name']} has no keys: its authMode is not Key.")
        return json_response(doc["keys"])

    def regenerate(request: Request, payload: dict[str, Any]) -> Response:
        doc = store.get(services, request.path_params["endpoint"])
        which = _KEY_TYPES.get(str(payload.get("keyType")).lower())
        if which is None:
            raise wire.invalid("InvalidKeyType", f"keyType is {payload.get('keyType')!r}, not Primary or Secondary.")
        value = payload.get("keyValue")
        services.store.update(store.KIND, doc["name"].lower(), lambda old: state.with_new_key(old, which, value))
        return _accepted(request, operations.begin(services, "oe", state.REGENERATE_S))

    def token(request: Request, _: dict[str, Any]) -> Response:
        doc = store.get(services, request.path_params["endpoint"])
        if doc["auth_mode"] == "Key":
            raise wire.invalid("InvalidAuthMode", f"Endpoint {doc['name']} has no tokens: its authMode is Key.")
        value = identity.issue(services, "azureml", endpointName=doc["name"])
        return json_response(wire.token(value, services.now()))

    def _accepted(request: Request, operation: str) -> Response:
        api_version = request.query_params.get("api-version", "")
        return json_response(None, 202, operations.headers(services, operation, api_version))

    one = f"{ARM}/onlineEndpoints/{{endpoint}}"
    return [
        Route(f"{ARM}/onlineEndpoints", threaded(list_)),
        Route(one, threaded(get)),
        Route(one, threaded(put), methods=["PUT"]),
        Route(one, threaded(delete), methods=["DELETE"]),
        Route(f"{one}/listKeys", threaded(list_keys), methods=["POST"]),
        Route(f"{one}/regenerateKeys", threaded(regenerate), methods=["POST"]),
        Route(f"{one}/token", threaded(token), methods=["POST"]),
    ]
