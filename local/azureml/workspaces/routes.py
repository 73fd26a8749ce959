"""The workspace, its discovery document and the cloud's metadata."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml import environment
from local.azureml.http import ARM, json_response, threaded
from local.azureml.services import Services
from local.azureml.workspaces import wire

_PROVIDER = "/providers/Microsoft.MachineLearningServices/workspaces"


def routes(services: Services) -> list[Route]:
    base_url = services.config.base_url

    def get(_: Request, __: dict[str, Any]) -> Response:
        return json_response(wire.workspace(base_url))

    def list_(_: Request, __: dict[str, Any]) -> Response:
        return json_response({"value": [wire.workspace(base_url)]})

    def discovery(_: Request, __: dict[str, Any]) -> Response:
        return json_response(wire.discovery(base_url))

    def clouds(_: Request, __: dict[str, Any]) -> Response:
        return json_response(environment.metadata_endpoints(services.config.port))

    return [
        Route(ARM, threaded(get)),
        Route(f"/subscriptions/{{subscription}}/resourceGroups/{{group}}{_PROVIDER}", threaded(list_)),
        Route(f"/subscriptions/{{subscription}}{_PROVIDER}", threaded(list_)),
        Route("/discovery", threaded(discovery)),
        Route("/metadata/endpoints", threaded(clouds)),
    ]
