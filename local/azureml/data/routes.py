"""Data assets: a name and a version for a place in storage."""

from typing import Any

from starlette.routing import Route

from local.azureml import assets
from local.azureml.datastores.state import expand
from local.azureml.http import AzureError
from local.azureml.services import Services

_TYPES = ("uri_file", "uri_folder", "mltable")


def complete(_: Services, __: str, ___: str, sent: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fill a data version in: the short datastore URI comes back in its long form."""
    if sent.get("dataType") not in _TYPES:
        detail = ("InvalidDataType", f"dataType is {sent.get('dataType')!r}, expected one of {', '.join(_TYPES)}.")
        raise AzureError(400, "ValidationError", "The request is invalid.", [detail])
    properties = {
        "description": sent.get("description"),
        "tags": sent.get("tags") or {},
        "properties": sent.get("properties") or {},
        "isArchived": bool(sent.get("isArchived")),
        "isAnonymous": bool(sent.get("isAnonymous")),
        "dataUri": expand(sent["dataUri"], "resourcegroups"),
        "dataType": sent["dataType"],
    }
    return properties, {}


KIND = assets.AssetKind("data", "Data", "dataUri", complete)


def routes(services: Services) -> list[Route]:
    return assets.routes(services, KIND)
