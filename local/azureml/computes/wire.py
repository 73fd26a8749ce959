"""Compute clusters as Azure prints them, and the requests it refuses."""

from datetime import datetime
from typing import Any

from local import names
from local.azureml import catalog
from local.azureml.arm import properties_of, resource_id
from local.azureml.computes import state
from local.azureml.http import AzureError

_NODE_COUNTS = ("preparing", "running", "idle", "unusable", "leaving", "preempted")
_PRIORITIES = ("Dedicated", "LowPriority")


def read(payload: dict[str, Any]) -> dict[str, Any]:
    """Check a PUT's body and answer its `properties`.

    Raises: AzureError: 400 for another kind of compute, or a size or priority that is not offered.
    """
    properties = properties_of(payload)
    cluster = properties.get("properties")
    if properties.get("computeType") != "AmlCompute" or not isinstance(cluster, dict):
        raise invalid("This emulator has compute clusters (computeType AmlCompute, with properties) only.")
    size = catalog.vm_size(str(cluster.get("vmSize")))
    if size is None or "AmlCompute" not in size["supportedComputeTypes"]:
        raise invalid(f"The specified vmSize {cluster.get('vmSize')} is not supported in {names.LOCATION}.")
    if cluster.get("vmPriority", "Dedicated") not in _PRIORITIES:
        raise invalid(f"vmPriority is {cluster['vmPriority']!r}, expected one of {', '.join(_PRIORITIES)}.")
    return properties


def compute(name: str, doc: dict[str, Any], now: datetime) -> dict[str, Any]:
    sent = doc["properties"]
    provisioning = state.provisioning_state(doc, now)
    born = provisioning != "Creating"
    fault = {"error": {"code": "ProvisioningFailed", "message": doc.get("fails")}}
    properties = {
        "createdOn": doc["created"],
        "modifiedOn": doc["ready_at"] if born else doc["created"],
        "disableLocalAuth": bool(sent.get("disableLocalAuth")),
        "description": sent.get("description"),
        "resourceId": None,
        "computeType": "AmlCompute",
        **({"computeLocation": doc["location"]} if born else {}),
        "provisioningState": provisioning,
        "provisioningErrors": [fault] if provisioning == "Failed" else None,
        "isAttachedCompute": False,
        "properties": _cluster(doc, now, born),
    }
    return {
        "id": resource_id("computes", name),
        "name": name,
        "type": f"{names.WORKSPACE_TYPE}/computes",
        "location": doc["location"],
        "tags": (doc["tags"] or {}) if born else doc["tags"],
        "properties": properties,
    }


def _cluster(doc: dict[str, Any], now: datetime, born: bool) -> dict[str, Any]:
    sent = doc["properties"]["properties"]
    user = sent.get("userAccountCredentials")
    return {
        # The service answers the size in capitals.
        "vmSize": sent["vmSize"].upper(),
        "vmPriority": sent.get("vmPriority", "Dedicated"),
        "scaleSettings": sent.get("scaleSettings"),
        **({"userAccountCredentials": {**user, "adminUserPassword": None}} if born and user else {}),
        "subnet": sent.get("subnet"),
        "currentNodeCount": 0 if born else None,
        "targetNodeCount": 0 if born else None,
        "nodeStateCounts": {f"{node}NodeCount": 0 for node in _NODE_COUNTS} if born else None,
        "allocationState": state.allocation_state(doc, now),
        **({"allocationStateTransitionTime": doc["ready_at"]} if born else {}),
        "errors": None,
        "remoteLoginPortPublicAccess": sent.get("remoteLoginPortPublicAccess", "NotSpecified"),
        "osType": sent.get("osType", "Linux"),
        "virtualMachineImage": None,
        "isolatedNetwork": False,
        "enableNodePublicIp": sent.get("enableNodePublicIp", True),
        **({"propertyBag": {}} if born else {}),
    }


def invalid(message: str) -> AzureError:
    return AzureError(400, "BadRequest", "The request is invalid.", [("InvalidCompute", message)])
