"""Datastores: names for blob containers, and the azureml:// URIs that point into them."""

import re
from collections.abc import Iterator
from typing import Any

from local import names
from local.azureml.services import Services

KIND = "datastore"
ARTIFACT_DATASTORE = "workspaceartifactstore"
_BUILT_IN = {
    names.DEFAULT_DATASTORE: names.WORKSPACE_CONTAINER,
    names.PREPARED_DATASTORE: names.PREPARED_CONTAINER,
    ARTIFACT_DATASTORE: "azureml",
}
# Short: azureml://datastores/D/paths/P. Long: azureml://subscriptions/S/resourcegroups/G/workspaces/W/datastores/D/paths/P
_URI = re.compile(
    r"azureml:(?://|/)(?:subscriptions/[^/]+/resourcegroups/[^/]+/workspaces/[^/]+/)?"
    r"datastores/(?P<datastore>[^/]+)/paths/(?P<path>.*)",
    re.IGNORECASE,
)


def container_of(services: Services, datastore: str) -> str | None:
    """Answer the blob container behind a datastore, or None when there is no such datastore."""
    found = services.store.get(KIND, datastore)
    if found is not None:
        container: str = found["properties"]["containerName"]
        return container
    return _BUILT_IN.get(datastore)


def parse(uri: str) -> tuple[str, str] | None:
    """Split a short or long datastore URI into datastore and path; None when it is no such URI."""
    match = _URI.fullmatch(uri)
    return (match["datastore"], match["path"]) if match else None


def expand(uri: str, resource_groups: str) -> str:
    """Write a datastore URI in its long form, as the service answers it; leave any other URI alone.

    Args: resource_groups: data assets answer `resourcegroups`, models `resourceGroups` (both recorded).
    """
    parsed = parse(uri)
    if parsed is None:
        return uri
    datastore, path = parsed
    workspace = names.WORKSPACE_URI.replace("resourcegroups", resource_groups)
    return f"{workspace}/datastores/{datastore}/paths/{path}"


def properties(services: Services, datastore: str) -> dict[str, Any] | None:
    """Answer a datastore's properties as a GET shows them: without its secrets."""
    found = services.store.get(KIND, datastore)
    if found is not None:
        kept: dict[str, Any] = found["properties"]
        return kept
    container = _BUILT_IN.get(datastore)
    if container is None:
        return None
    identity = "None" if datastore == ARTIFACT_DATASTORE else "WorkspaceSystemAssignedIdentity"
    return {
        "description": None,
        "tags": None,
        "properties": None,
        "isDefault": datastore == names.DEFAULT_DATASTORE,
        "credentials": {"credentialsType": "AccountKey"},
        "datastoreType": "AzureBlob",
        # The SDK builds https://{accountName}.blob.core.windows.net; this leads it to the emulator's own blob route.
        "accountName": f"127.0.0.1:{services.config.port}/devstoreaccount1",
        "containerName": container,
        "endpoint": "core.windows.net",
        "protocol": "https",
        "serviceDataAccessAuthIdentity": identity,
    }


def all_names(services: Services) -> Iterator[str]:
    """Answer the datastores' names, the default one first."""
    yield from _BUILT_IN
    yield from (key for key, _ in services.store.list(KIND) if key not in _BUILT_IN)
