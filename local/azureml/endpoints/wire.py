"""Online endpoints: Azure's JSON to values and back."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local import names
from local.azureml.arm import endpoint_system_data, properties_of, resource_id
from local.azureml.endpoints import state
from local.azureml.http import AzureError
from local.azureml.identity import PRINCIPAL_ID


@dataclass(frozen=True)
class EndpointRequest:
    location: str
    tags: dict[str, str]
    identity: str
    auth_mode: str
    description: str | None
    properties: dict[str, str]
    traffic: dict[str, int]
    mirror_traffic: dict[str, int]
    public_network_access: str


def read(name: str, payload: dict[str, Any]) -> EndpointRequest:
    """Read a PUT's body.

    Raises: AzureError: 400 for a bad name, an unknown authMode or a missing part.
    """
    sent = properties_of(payload)
    fault = state.name_fault(name)
    if fault is not None:
        raise invalid("InvalidEndpointName", fault)
    auth_mode = sent.get("authMode")
    if auth_mode not in state.AUTH_MODES:
        expected = ", ".join(state.AUTH_MODES)
        raise invalid("InvalidAuthMode", f"authMode is {auth_mode!r}, expected one of {expected}.")
    for part in ("traffic", "mirrorTraffic", "properties"):
        if not isinstance(sent.get(part) or {}, dict):
            raise invalid("InvalidRequest", f"{part} must be an object.")
    return EndpointRequest(
        location=payload.get("location") or names.LOCATION,
        tags=payload.get("tags") or {},
        identity=(payload.get("identity") or {}).get("type", "SystemAssigned"),
        auth_mode=auth_mode,
        description=sent.get("description"),
        properties=sent.get("properties") or {},
        traffic=sent.get("traffic") or {},
        mirror_traffic=sent.get("mirrorTraffic") or {},
        public_network_access=sent.get("publicNetworkAccess") or "Enabled",
    )


def scoring_url(base_url: str, name: str) -> str:
    return f"{base_url}/inference/{name}"


def endpoint(name: str, doc: dict[str, Any], now: datetime, base_url: str) -> dict[str, Any]:
    status = state.status_at(doc, now)
    addressable = status != "Creating"
    url = scoring_url(base_url, name)
    own = {
        "azureml.onlineendpointid": resource_id("onlineEndpoints", name).lower(),
        "AzureAsyncOperationUri": doc["operation_url"],
    }
    return {
        "id": resource_id("onlineEndpoints", name),
        "name": name,
        "type": f"{names.WORKSPACE_TYPE}/onlineEndpoints",
        "properties": {
            "description": doc["description"],
            "properties": {**doc["properties"], **own},
            "scoringUri": f"{url}/score" if addressable else None,
            "swaggerUri": f"{url}/swagger.json" if addressable else None,
            "authMode": doc["auth_mode"],
            "provisioningState": status,
            "compute": None,
            "traffic": state.traffic_at(doc, now),
            "mirrorTraffic": doc["mirror_traffic"],
            "publicNetworkAccess": doc["public_network_access"],
        },
        "systemData": endpoint_system_data(doc["created"], state.modified_at(doc, now)),
        "tags": doc["tags"],
        "location": doc["location"],
        "kind": "Managed",
        "identity": {"type": doc["identity"], "principalId": PRINCIPAL_ID, "tenantId": names.TENANT},
    }


def token(value: str, now: datetime) -> dict[str, Any]:
    """Write the answer of /token: it expires in 24 hours, and is better renewed after 12."""
    seconds = int(now.timestamp())
    return {
        "accessToken": value,
        "tokenType": "Bearer",
        "expiryTimeUtc": seconds + 24 * 3600,
        "refreshAfterTimeUtc": seconds + 12 * 3600,
    }


def not_found(name: str) -> AzureError:
    message = f"There is no endpoint with name: {name} in {names.WORKSPACE}"
    return AzureError(404, "NotFound", "The specified resource was not found.", [("NoSuchEndpoint", message)])


def busy(name: str, status: str) -> AzureError:
    message = f"Cannot update endpoint {name} because it is in {status} provisioning state."
    return AzureError(409, "Conflict", message)


def taken() -> AzureError:
    """Refuse a name that somebody else has in the region.

    Source: the text is quoted in azureml-examples pull request 1931; its shape is the quota refusal's.
    """
    text = "There is already an endpoint with this name, Endpoint name needs to be unique within a region."
    inner = {
        "errors": {"": [f"{text} Try some other name."]},
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
    }
    detail = f"InferencingClient HttpRequest error, error detail: {json.dumps(inner, separators=(',', ':'))}"
    return invalid("InferencingClientCreateEndpointFailed", detail)


def invalid(code: str, message: str) -> AzureError:
    return AzureError(400, "BadRequest", "The request is invalid.", [(code, message)])
