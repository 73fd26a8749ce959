"""The public registry as its data plane prints it."""

from typing import Any

from local import names
from local.azureml import catalog
from local.azureml.arm import asset_system_data

# The registry lives in a subscription of its own, as the real one does; the SDK copies it into its paths.
SUBSCRIPTION = "00000000-0000-0000-0000-0000000a27e9"
RESOURCE_GROUP = "registry-azureml"
_REGISTRY_GUID = "00000000-0000-0000-0000-00000009e915"
_CREATED = "2026-01-01T00:00:00.0000000+00:00"


def discovery(base_url: str) -> dict[str, Any]:
    return {
        "registryId": _REGISTRY_GUID,
        "registryName": catalog.REGISTRY,
        "tenantId": names.TENANT,
        "primaryRegion": names.LOCATION,
        "regions": [names.LOCATION],
        "subscriptionId": SUBSCRIPTION,
        "resourceGroup": RESOURCE_GROUP,
        "workspaceName": None,
        # The SDK appends "mferp/managementfrontend" to it, so it has to end with a slash.
        "primaryRegionResourceProviderUri": f"{base_url}/",
        "registryFqdns": {names.LOCATION: {"uri": base_url}},
    }


def model_version(model: dict[str, Any]) -> dict[str, Any]:
    """Write a model: here `name` is the model's name, unlike everywhere else."""
    asset = f"{catalog.REGISTRY}/models/{model['name']}/versions/{model['version']}"
    blob = f"https://{catalog.REGISTRY}.blob.core.windows.net/{catalog.REGISTRY}-{_REGISTRY_GUID}"
    return {
        "id": f"azureml://registries/{asset}",
        "name": model["name"],
        "type": "models",
        "properties": {
            "description": model["description"],
            "tags": model["tags"],
            "properties": model["properties"],
            "isArchived": model["isArchived"],
            "isAnonymous": False,
            "flavors": {flavor: {"data": data} for flavor, data in model["flavors"].items()},
            "modelType": "mlflow_model",
            "modelUri": f"{blob}/{model['name']}-{model['version']}/mlflow_model_folder",
            "originAssetId": f"azureml://registries/{asset}",
            "jobName": None,
        },
        "systemData": asset_system_data(_CREATED, _CREATED),
    }


def component_version(component: dict[str, Any]) -> dict[str, Any]:
    """Write a component: here `name` is the version."""
    asset = f"{catalog.REGISTRY}/components/{component['name']}/versions/{component['version']}"
    return {
        "id": f"azureml://registries/{asset}",
        "name": component["version"],
        "type": f"{names.PROVIDER}/registries/components/versions",
        "properties": {
            "description": None,
            "tags": {},
            "properties": {},
            "isArchived": False,
            "isAnonymous": False,
            "componentSpec": component,
        },
        "systemData": asset_system_data(_CREATED, _CREATED),
    }
