"""Datastores of the workspace."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local import names
from local.azureml.arm import asset_system_data, location_header, properties_of, resource_id
from local.azureml.datastores import state
from local.azureml.http import ARM, AzureError, empty_response, json_response, threaded, timestamp
from local.azureml.services import Services
from local.azureml.storage import connection

_CREATED = "2026-01-01T00:00:00.0000000Z"


def routes(services: Services) -> list[Route]:
    def write(name: str) -> dict[str, Any]:
        properties = state.properties(services, name)
        if properties is None:
            detail = ("DatastoreNotFound", f"Could not find datastore with name: {name}")
            raise AzureError(404, "UserError", "The specified resource was not found.", [detail])
        kept = services.store.get(state.KIND, name) or {"created": _CREATED, "modified": _CREATED}
        return {
            "id": resource_id("datastores", name),
            "name": name,
            "type": f"{names.WORKSPACE_TYPE}/datastores",
            "properties": properties,
            "systemData": asset_system_data(kept["created"], kept["modified"]),
        }

    def list_(request: Request, _: dict[str, Any]) -> Response:
        found = [write(name) for name in state.all_names(services)]
        if request.query_params.get("isDefault", "").lower() == "true":
            found = [datastore for datastore in found if datastore["properties"]["isDefault"]]
        return json_response({"value": found})

    def get(request: Request, _: dict[str, Any]) -> Response:
        return json_response(write(request.path_params["name"]))

    def put(request: Request, payload: dict[str, Any]) -> Response:
        properties = properties_of(payload)
        if properties.get("datastoreType") != "AzureBlob" or not properties.get("containerName"):
            detail = ("InvalidDatastore", "This emulator has AzureBlob datastores with a containerName only.")
            raise AzureError(400, "ValidationError", "The request is invalid.", [detail])
        name, now = request.path_params["name"], timestamp(services.now())
        credentials = properties.get("credentials") or {}
        kept = {
            **properties,
            "isDefault": False,
            "credentials": {"credentialsType": credentials.get("credentialsType", "None")},
        }
        old = services.store.get(state.KIND, name) or {"created": now}
        services.store.put(state.KIND, name, {"properties": kept, "created": old["created"], "modified": now})
        return json_response(write(name), 201, {"Location": location_header(request, services.config.base_url)})

    def delete(request: Request, _: dict[str, Any]) -> Response:
        return empty_response(200 if services.store.delete(state.KIND, request.path_params["name"]) else 204)

    def secrets(request: Request, _: dict[str, Any]) -> Response:
        write(request.path_params["name"])
        return json_response({"secretsType": "AccountKey", "key": connection.parse(services.config.storage).key})

    one = f"{ARM}/datastores/{{name}}"
    return [
        Route(f"{ARM}/datastores", threaded(list_)),
        Route(one, threaded(get)),
        Route(one, threaded(put), methods=["PUT"]),
        Route(one, threaded(delete), methods=["DELETE"]),
        Route(f"{one}/listSecrets", threaded(secrets), methods=["POST"]),
    ]
