"""Azure Resource Manager's side: which resources exist here, their ids, and the audit fields they carry."""

from typing import Any

from starlette.requests import Request

from local import names
from local.azureml.http import AzureError

CREATED_BY = "finetune-local"


def check_scope(subscription: str, group: str | None, workspace: str | None) -> None:
    """Refuse whatever is not the one workspace of this emulator, in the order Azure Resource Manager does.

    Source: the codes are Resource Manager's documented common errors.
    """
    if subscription.lower() != names.SUBSCRIPTION:
        raise AzureError(
            404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.", arm=True
        )
    if group is not None and group.lower() != names.RESOURCE_GROUP:
        raise AzureError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.", arm=True)
    if workspace is not None and workspace.lower() != names.WORKSPACE:
        message = (
            f"The Resource '{names.WORKSPACE_TYPE}/{workspace}' under resource group '{group}' was not found. "
            "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
        )
        raise AzureError(404, "ResourceNotFound", message, arm=True)


def resource_id(*segments: str) -> str:
    """Answer the id of something in the workspace: resource_id("models", "m", "versions", "1")."""
    return "/".join((names.WORKSPACE_ID, *segments))


def asset_system_data(created: str, modified: str) -> dict[str, str]:
    """Audit fields of assets: all six."""
    return {
        "createdAt": created,
        "createdBy": CREATED_BY,
        "createdByType": "User",
        "lastModifiedAt": modified,
        "lastModifiedBy": CREATED_BY,
        "lastModifiedByType": "User",
    }


def endpoint_system_data(created: str, modified: str) -> dict[str, str]:
    """Audit fields of endpoints and deployments: only three."""
    return {"createdAt": created, "createdBy": CREATED_BY, "lastModifiedAt": modified}


def location_header(request: Request, base_url: str) -> str:
    """Answer the resource's own address, as a PUT's Location header names it."""
    return f"{base_url}{request.url.path}?api-version={request.query_params.get('api-version', '')}"


def properties_of(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer a request's `properties`, which every PUT must have.

    Raises: AzureError: 400 when they are missing.
    """
    properties = payload.get("properties")
    if not isinstance(properties, dict):
        detail = ("InvalidRequest", "The properties field is required.")
        raise AzureError(400, "ValidationError", "The request is invalid.", [detail])
    return properties
