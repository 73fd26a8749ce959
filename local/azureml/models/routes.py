"""Models of the workspace."""

from starlette.routing import Route

from local.azureml import assets
from local.azureml.models.state import KIND
from local.azureml.services import Services


def routes(services: Services) -> list[Route]:
    return assets.routes(services, KIND)
