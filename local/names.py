"""The fixed names of the local Azure: every part of `local` agrees on them by importing this module."""

SUBSCRIPTION = "00000000-0000-0000-0000-00000000f17e"
TENANT = "00000000-0000-0000-0000-0000000074a7"
RESOURCE_GROUP = "finetune-local"
WORKSPACE = "finetune-local"
WORKSPACE_GUID = "00000000-0000-0000-0000-0000000a371e"
LOCATION = "eastus"

DATASETS_CONTAINER = "datasets"
PREPARED_CONTAINER = "prepared"
RUNS_CONTAINER = "runs"
DEADLETTER_CONTAINER = "deadletter"
WORKSPACE_CONTAINER = f"azureml-blobstore-{WORKSPACE_GUID}"

PREPARED_DATASTORE = "finetune_prepared"
DEFAULT_DATASTORE = "workspaceblobstore"

STORAGE_TOPIC = "storage"
WORKSPACE_TOPIC = "workspace"
EVENTS_TOPIC = "finetune-events"

SUBSCRIPTION_ID = f"/subscriptions/{SUBSCRIPTION}"
RESOURCE_GROUP_ID = f"{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}"
PROVIDER = "Microsoft.MachineLearningServices"
WORKSPACE_ID = f"{RESOURCE_GROUP_ID}/providers/{PROVIDER}/workspaces/{WORKSPACE}"
WORKSPACE_TYPE = f"{PROVIDER}/workspaces"
# How asset URIs name the workspace: azureml://subscriptions/S/resourcegroups/G/workspaces/W
WORKSPACE_URI = f"azureml:/{SUBSCRIPTION_ID}/resourcegroups/{RESOURCE_GROUP}/workspaces/{WORKSPACE}"
