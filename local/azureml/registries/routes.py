"""The public registry `azureml`: discovery, models and components. It can be read only."""

from collections.abc import Callable, Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml import catalog
from local.azureml.http import AzureError, json_response, threaded
from local.azureml.registries import wire
from local.azureml.services import Services

_REGISTRY = (
    "/mferp/managementfrontend/subscriptions/{subscription}/resourceGroups/{group}"
    "/providers/Microsoft.MachineLearningServices/registries/{registry}"
)
_Entry = dict[str, Any]


def routes(services: Services) -> list[Route]:
    def discovery(request: Request, _: dict[str, Any]) -> Response:
        check_registry(request)
        return json_response(wire.discovery(services.config.base_url))

    return [
        Route("/registrymanagement/v1.0/registries/{registry}/discovery", threaded(discovery)),
        *_assets("models", catalog.models, wire.model_version),
        *_assets("components", catalog.components, wire.component_version),
    ]


def _assets(
    kind: str, entries: Callable[[], tuple[_Entry, ...]], write: Callable[[_Entry], dict[str, Any]]
) -> Iterable[Route]:
    def named(request: Request) -> list[_Entry]:
        check_registry(request)
        name = request.path_params["name"]
        found = [entry for entry in entries() if entry["name"].lower() == name.lower()]
        if not found:
            raise _not_found(kind, name, request.path_params.get("version"))
        return found

    def list_names(request: Request, _: dict[str, Any]) -> Response:
        check_registry(request)
        return json_response({"value": [write(entry) for entry in entries()]})

    def list_versions(request: Request, _: dict[str, Any]) -> Response:
        top = int(request.query_params.get("$top", "30"))
        view = request.query_params.get("listViewType", "All").lower()
        hidden = {"activeonly": True, "archivedonly": False}.get(view)
        shown = [entry for entry in named(request) if entry.get("isArchived", False) is not hidden]
        return json_response({"value": [write(entry) for entry in shown[:top]]})

    def get(request: Request, _: dict[str, Any]) -> Response:
        version = request.path_params["version"]
        entry = next((entry for entry in named(request) if entry["version"] == version), None)
        if entry is None:
            raise _not_found(kind, request.path_params["name"], version)
        return json_response(write(entry))

    return [
        Route(f"{_REGISTRY}/{kind}", threaded(list_names)),
        Route(f"{_REGISTRY}/{kind}/{{name}}/versions", threaded(list_versions)),
        Route(f"{_REGISTRY}/{kind}/{{name}}/versions/{{version}}", threaded(get)),
    ]


def check_registry(request: Request) -> None:
    registry = request.path_params["registry"]
    if registry.lower() != catalog.REGISTRY:
        raise AzureError(404, "UserError", f"Could not find registry {registry}", inner=("NotFoundError",))


def _not_found(kind: str, name: str, version: str | None) -> AzureError:
    asset = f"azureml://registries/{catalog.REGISTRY}/{kind}/{name}" + (f"/versions/{version}" if version else "")
    return AzureError(404, "UserError", f"Could not find asset with ID: {asset}", inner=("NotFoundError",))
