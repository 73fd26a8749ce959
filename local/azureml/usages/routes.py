"""Usages and quotas: method and path to handler."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.azureml.http import LOCATIONS, json_response, threaded
from local.azureml.services import Services
from local.azureml.usages import held, wire


def routes(services: Services) -> list[Route]:
    def usages(_: Request, __: dict[str, Any]) -> Response:
        return json_response({"value": wire.usages(held.uses(services), len(held.clusters(services)))})

    def quotas(_: Request, __: dict[str, Any]) -> Response:
        return json_response({"value": wire.quotas(held.uses(services))})

    return [Route(f"{LOCATIONS}/usages", threaded(usages)), Route(f"{LOCATIONS}/quotas", threaded(quotas))]
