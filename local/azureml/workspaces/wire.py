"""The workspace as Azure prints it."""

from typing import Any

from local import names
from local.azureml.identity import PRINCIPAL_ID

# Recorded shape: id, name, ... systemData of a workspace GET; the ids of its parts are this emulator's own.
_CREATED = "2026-01-01T00:00:00.0000000Z"


def workspace(base_url: str) -> dict[str, Any]:
    group = f"{names.RESOURCE_GROUP_ID}/providers"
    return {
        "id": names.WORKSPACE_ID,
        "name": names.WORKSPACE,
        "type": names.WORKSPACE_TYPE,
        "location": names.LOCATION,
        "tags": {},
        "etag": None,
        "properties": {
            "friendlyName": names.WORKSPACE,
            "description": "",
            "storageAccount": f"{group}/Microsoft.Storage/storageAccounts/devstoreaccount1",
            "keyVault": f"{group}/Microsoft.Keyvault/vaults/finetune-local",
            "applicationInsights": f"{group}/Microsoft.insights/components/finetune-local",
            "hbiWorkspace": False,
            "tenantId": names.TENANT,
            "imageBuildCompute": None,
            "provisioningState": "Succeeded",
            "v1LegacyMode": False,
            "softDeleteEnabled": False,
            "containerRegistry": None,
            "notebookInfo": None,
            "storageHnsEnabled": False,
            "workspaceId": names.WORKSPACE_GUID,
            "linkedModelInventoryArmId": None,
            "privateLinkCount": 0,
            "publicNetworkAccess": "Enabled",
            "discoveryUrl": f"{base_url}/discovery",
            "mlFlowTrackingUri": f"{base_url.replace('https', 'azureml')}/mlflow/v1.0{names.WORKSPACE_ID}",
            "sdkTelemetryAppInsightsKey": None,
            "sasGetterUri": "",
            "enableDataIsolation": False,
        },
        "identity": {"type": "SystemAssigned", "principalId": PRINCIPAL_ID, "tenantId": names.TENANT},
        "kind": "Default",
        "sku": {"name": "Basic", "tier": "Basic"},
        "systemData": {
            "createdAt": _CREATED,
            "createdBy": "finetune-local",
            "createdByType": "User",
            "lastModifiedAt": _CREATED,
            "lastModifiedBy": "finetune-local",
            "lastModifiedByType": "User",
        },
    }


def discovery(base_url: str) -> dict[str, str]:
    """Where the workspace's data-plane services are. Ten keys; here all of them are this one server."""
    keys = ("api", "catalog", "experimentation", "gallery", "history", "hyperdrive", "labeling")
    more = ("modelmanagement", "pipelines", "studio")
    return dict.fromkeys(keys + more, base_url)
