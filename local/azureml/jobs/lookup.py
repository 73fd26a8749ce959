"""What a job's inputs refer to in this workspace: components, models, data assets, datastores, computes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from local import names
from local.azureml import assets, catalog
from local.azureml.components import routes as components
from local.azureml.computes import routes as computes
from local.azureml.data.routes import KIND as DATA
from local.azureml.datastores import state as datastores
from local.azureml.environments.routes import KIND as ENVIRONMENTS
from local.azureml.http import AzureError
from local.azureml.models import state as models
from local.azureml.models.state import KIND as MODELS
from local.azureml.services import Services
from local.azureml.storage import connection
from local.training import engines

_REGISTRY_MODEL = re.compile(r"azureml://registries/([^/]+)/models/([^/]+)/(?:versions|labels)/([^/]+)", re.I)
# azureml:NAME:VERSION, the ARM id, and azureml://subscriptions/.../{models,data}/NAME/versions/VERSION
_ASSET = re.compile(r"(?:azureml:)?/.*/(models|data)/([^/]+)/versions/([^/]+)|azureml:([^/:]+):([^/:]+)", re.I)
_COMPONENT = re.compile(r"(?:azureml:)?/.*/components/([^/]+)/versions/([^/]+)", re.I)
_CURATED = re.compile(r"azureml://registries/([^/]+)/environments/([^/]+)/(?:versions|labels)/([^/]+)", re.I)
_ENVIRONMENT = re.compile(r"(?:azureml:)?/.*/environments/([^/]+)/versions/([^/]+)", re.I)


class WorkspaceLookup:
    """Finds what a job names. Every method raises AzureError when it is not there."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def component(self, registry: str, name: str, version: str) -> Mapping[str, Any]:
        spec = catalog.component(name, version) if registry.lower() == catalog.REGISTRY else None
        if spec is None:
            # The recorded words for a missing component.
            raise _missing(f"key: jobs, Message: Not found component {name} (version: {version}).")
        return spec

    def model_name(self, uri: str) -> str:
        match = _REGISTRY_MODEL.fullmatch(uri)
        if match is not None:
            registry, name, version = match.groups()
            found = catalog.model(name, version) if registry.lower() == catalog.REGISTRY else None
        else:
            name, version = _asset_of(uri, "models")
            found = assets.find(self._services, MODELS, name, version)
        if found is None:
            raise _missing(f"Could not find asset with ID: {uri}")
        return name

    def blob(self, uri: str) -> tuple[str, str]:
        """Answer container and blob; whether the blob is there shows when the job prepares."""
        account = connection.parse(self._services.config.storage)
        if uri.startswith(f"{account.blob_endpoint}/"):
            container, _, blob = unquote(uri.removeprefix(f"{account.blob_endpoint}/")).partition("/")
            return container, blob
        parsed = datastores.parse(uri)
        if parsed is None:
            name, version = _asset_of(uri, "data")
            found = assets.find(self._services, DATA, name, version)
            if found is None:
                raise _missing(f"Could not find asset with ID: {uri}")
            return self.blob(found["properties"]["dataUri"])
        datastore, path = parsed
        container_name = datastores.container_of(self._services, datastore)
        if container_name is None:
            raise _missing(f"Could not find datastore: {datastore} in workspace {names.WORKSPACE}.")
        return container_name, unquote(path)

    def command_component(self, component_id: str) -> Mapping[str, Any]:
        match = _COMPONENT.fullmatch(component_id)
        spec = components.find(self._services, *match.groups()) if match else None
        if spec is None:
            raise _missing(f"Could not find asset with ID: {component_id}")
        return spec

    def check_environment(self, environment_id: str) -> None:
        curated = _CURATED.fullmatch(environment_id)
        if curated is not None and (curated[1].lower(), curated[2].lower()) in catalog.ENVIRONMENTS:
            return
        match = _ENVIRONMENT.fullmatch(environment_id)
        if match is None or assets.find(self._services, ENVIRONMENTS, *match.groups()) is None:
            raise _missing(f"Could not find asset with ID: {environment_id}")

    def check_size(self, name: str) -> None:
        if catalog.vm_size(name) is None:
            raise AzureError(400, "UserError", f"The specified vmSize {name} is not supported in {names.LOCATION}.")

    def check_compute(self, name: str) -> None:
        short = name.rpartition("/")[2].removeprefix("azureml:")
        if computes.find(self._services, short) is None:
            raise _missing(f"Unknown compute target '{short}': it is not in workspace {names.WORKSPACE}.")

    def model_folder(self, uri: str) -> Path:
        """Answer the folder of a model: the engine's base model for every one of the registry.

        Raises: AzureError; FileNotFoundError: its files are gone.
        """
        if _REGISTRY_MODEL.fullmatch(uri):
            config = self._services.config
            return engines.folder(config.cache_dir, config.engine)
        name, version = _asset_of(uri, "models")
        model_id = f"{names.WORKSPACE_ID}/models/{name}/versions/{version}"
        return models.local_folder(self._services, model_id)


def _asset_of(uri: str, collection: str) -> tuple[str, str]:
    match = _ASSET.fullmatch(uri)
    if match is None or (match[1] or collection).lower() != collection:
        message = f"The uri {uri!r} names neither a registered asset ({collection}) nor a place in this workspace."
        raise AzureError(400, "UserError", message, inner=("BadArgument", "ArgumentInvalid"))
    return (match[2], match[3]) if match[2] else (match[4], match[5])


def _missing(message: str) -> AzureError:
    return AzureError(404, "NotFound", message)
