"""Environments: what a command runs in. They are kept and checked for, and never built: see local/README.md."""

from typing import Any

from starlette.routing import Route

from local.azureml import assets
from local.azureml.services import Services


def complete(_: Services, __: str, ___: str, sent: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fill an environment version in. Source: the properties of the SDK's model EnvironmentVersionProperties."""
    properties = {
        "description": sent.get("description"),
        "tags": sent.get("tags") or {},
        "properties": sent.get("properties") or {},
        "isArchived": bool(sent.get("isArchived")),
        "isAnonymous": bool(sent.get("isAnonymous")),
        "environmentType": "UserCreated",
        "image": sent["image"],
        "condaFile": sent.get("condaFile"),
        "osType": sent.get("osType") or "Linux",
        "autoRebuild": sent.get("autoRebuild") or "Disabled",
        "provisioningState": "Succeeded",
    }
    return properties, {}


KIND = assets.AssetKind("environments", "Environment", "image", complete)


def routes(services: Services) -> list[Route]:
    return assets.routes(services, KIND)
