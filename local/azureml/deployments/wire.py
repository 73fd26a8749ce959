"""Online deployments: Azure's JSON to values and back, and the requests it refuses."""

import json
import secrets
from datetime import datetime
from typing import Any

from local import names
from local.azureml import catalog
from local.azureml.arm import endpoint_system_data, properties_of, resource_id
from local.azureml.deployments import state
from local.azureml.endpoints.state import name_fault
from local.azureml.http import AzureError


def read(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Read a PUT's body: what is asked for, without any state.

    Raises: AzureError: 400 for a bad name, another compute than Managed, a size without online endpoints, a bad
    duration or instance count.
    """
    sent = properties_of(payload)
    fault = name_fault(name)
    if fault is not None:
        raise invalid("InvalidDeploymentName", fault)
    if sent.get("endpointComputeType") != "Managed":
        raise invalid("InvalidComputeType", "This emulator has managed online deployments only.")
    check_size(str(sent.get("instanceType")))
    sku = payload.get("sku") or {}
    capacity = sku.get("capacity", 1)
    if not isinstance(capacity, int) or capacity < 1:
        raise invalid("InvalidCapacity", f"sku.capacity is {capacity!r}, expected a whole number from 1.")
    try:
        state.patience_s(sent)
        state.seconds((sent.get("requestSettings") or {}).get("requestTimeout") or "PT5S")
    except ValueError as error:
        raise invalid("InvalidDuration", str(error)) from error
    return {
        "properties": sent,
        "sku": {"name": "Default", "tier": "Standard", "capacity": capacity},
        "tags": payload.get("tags") or {},
        "location": payload.get("location") or names.LOCATION,
    }


def check_size(instance_type: str) -> None:
    """Refuse a size that online endpoints do not offer, as the service does: 400 on the PUT itself."""
    size = catalog.vm_size(instance_type)
    if size is None or "MIR" not in size["supportedComputeTypes"]:
        raise refused_by_inferencing(
            f"Not supported VM Size {instance_type}. Please see the supported sizes: https://aka.ms/oe-sku"
        )


def out_of_quota(instance_type: str, needed: int | None = None, used: int = 0, limit: int = 6) -> AzureError:
    size = catalog.vm_size(instance_type)
    needed = needed or (2 * size["vCPUs"] if size else 0)
    return refused_by_inferencing(
        f"Not enough quota available for {instance_type} in SubscriptionId {names.SUBSCRIPTION}. "
        f"Current usage/limit: {used}/{limit}. Additional needed: {needed} Please see troubleshooting guide, available "
        "here: https://aka.ms/oe-tsg#error-outofquota"
    )


def refused_by_inferencing(message: str) -> AzureError:
    """Write a refusal that comes from the service behind the control plane; its text holds JSON of its own.

    Source: error-400-deployment-quota, quoted by a user.
    """
    inner = {
        "errors": {"VmSize": [message]},
        "type": "https://tools.ietf.org/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "traceId": f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01",
    }
    text = f"InferencingClient HttpRequest error, error detail: {json.dumps(inner, separators=(',', ':'))}"
    return invalid("InferencingClientCreateDeploymentFailed", text)


def deployment(doc: dict[str, Any], now: datetime) -> dict[str, Any]:
    sent, done = doc["properties"], doc["phase"] != "Updating"
    settings = sent.get("requestSettings") or {}
    return {
        "id": resource_id("onlineEndpoints", doc["endpoint"], "deployments", doc["name"]),
        "name": doc["name"],
        "type": f"{names.WORKSPACE_TYPE}/onlineEndpoints/deployments",
        "properties": {
            "description": sent.get("description"),
            "properties": {**(sent.get("properties") or {}), "AzureAsyncOperationUri": doc["operation_url"]},
            "codeConfiguration": sent.get("codeConfiguration"),
            "environmentId": sent.get("environmentId"),
            "environmentVariables": sent.get("environmentVariables") or {},
            "scaleSettings": sent.get("scaleSettings") or {"scaleType": "Default"},
            "requestSettings": {
                "maxQueueWait": "PT0S",
                "requestTimeout": (settings.get("requestTimeout") or "PT5S") if done else "PT0S",
                "maxConcurrentRequestsPerInstance": settings.get("maxConcurrentRequestsPerInstance") or 1,
            },
            "modelMountPath": sent.get("modelMountPath"),
            "appInsightsEnabled": bool(sent.get("appInsightsEnabled")),
            "livenessProbe": state.probe(sent.get("livenessProbe")) if done else None,
            "readinessProbe": state.probe(sent.get("readinessProbe")) if done else None,
            "provisioningState": state.status_at(doc, now),
            "instanceType": sent["instanceType"],
            "model": sent["model"],
            "privateNetworkConnection": bool(sent.get("privateNetworkConnection")),
            "egressPublicNetworkAccess": sent.get("egressPublicNetworkAccess") or "Enabled",
            "endpointComputeType": "Managed",
        },
        "systemData": endpoint_system_data(doc["created"], doc["modified"]),
        "tags": doc["tags"],
        "location": doc["location"],
        "kind": "Managed",
        "sku": doc["sku"],
    }


def crashed(message: str) -> dict[str, Any]:
    """Write the error of a deployment's failed operation.

    Source: users' reports print it as "(None) ResourceNotReady: User container has crashed or terminated: ...".
    """
    guide = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-resourcenotready"
    return {"code": None, "message": f"ResourceNotReady: User container has crashed or terminated: {message}. {guide}"}


def not_found(endpoint: str, name: str) -> AzureError:
    message = f"There is no deployment with name: {name} in endpoint {endpoint}"
    return AzureError(404, "NotFound", "The specified resource was not found.", [("NoSuchDeployment", message)])


def endpoint_busy(endpoint: str, status: str) -> AzureError:
    message = f"Cannot create a deployment in endpoint {endpoint} because it is in {status} provisioning state."
    return AzureError(409, "Conflict", message)


def busy(name: str, status: str) -> AzureError:
    message = f"Cannot update deployment {name} because it is in {status} provisioning state."
    return AzureError(409, "Conflict", message)


def unrecoverable(name: str) -> AzureError:
    message = (
        f"Specified deployment [{name}] failed during initial provisioning and is in an unrecoverable state. "
        "Delete and re-create."
    )
    return invalid("DeploymentUnrecoverable", message)


def invalid(code: str, message: str) -> AzureError:
    return AzureError(400, "BadRequest", "The request is invalid.", [(code, message)])
