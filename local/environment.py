"""The app's settings on this machine, and what a script needs to talk to the local Azure."""

import os
from collections.abc import Mapping
from pathlib import Path

from local import azurite, names
from local.azureml.environment import client_environment, cloud_name
from local.functions_host.keys import Keys
from local.ports import Ports
from local.tls import Tls

# Somebody's own login to Azure must not be offered to the emulator, nor a proxy stand between local processes; and what
# is told of local runs does not belong among those of an app in Azure.
_FOREIGN = (
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AZURE_TOKEN_CREDENTIALS",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_TENANT_ID",
    "AZURE_USERNAME",
    "AZURE_PASSWORD",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZUREML_CURRENT_CLOUD",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
)
# Both spellings: where one is set by the shell already, some clients look at that one only.
NO_PROXY = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
# What a person may choose for the local app with a variable of their own shell; everything else is fixed here.
DEFAULTS = {
    "FOUNDATION_MODEL": "SmolLM2-135M-Instruct",
    "ADVANCE_SCHEDULE": "*/3 * * * * *",
    "SWEEP_SCHEDULE": "*/30 * * * * *",
}


def base_environment() -> dict[str, str]:
    """Return this process's environment without what would lead local processes elsewhere."""
    kept = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    return {**kept, **NO_PROXY, "PYTHONUNBUFFERED": "1"}


def script_environment(ports: Ports, tls: Tls, keys: Keys) -> dict[str, str]:
    """Return what `up` prints: with it, plain scripts using Azure's SDKs work against the local Azure.

    It is added to a shell that may have a login to Azure, a cloud or a proxy of its own, so it overrides those.
    """
    storage = azurite.connection_string(ports.blob, ports.queue, ports.table)
    return {
        **client_environment(ports.azureml, ports.identity, tls),
        "AZURE_SUBSCRIPTION_ID": names.SUBSCRIPTION,
        "AZURE_RESOURCE_GROUP": names.RESOURCE_GROUP,
        "AZUREML_WORKSPACE_NAME": names.WORKSPACE,
        "AZURE_STORAGE_CONNECTION_STRING": storage,
        "DATASET_STORAGE": storage,
        "FUNCTIONS_URL": f"http://127.0.0.1:{ports.functions}/api",
        "FUNCTIONS_KEY": keys.default,
        "AZUREML_CURRENT_CLOUD": cloud_name(ports.azureml),
        # Not AZURE_CLIENT_SECRET="" and the like: azure-identity's EnvironmentCredential takes those for a login.
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        **NO_PROXY,
    }


def app_environment(ports: Ports, tls: Tls, chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the Functions host: the app's settings, as an app in Azure would have them.

    Args: chosen: settings that win over `DEFAULTS` and over the shell's.
    """
    storage = azurite.connection_string(ports.blob, ports.queue, ports.table)
    cloud = client_environment(ports.azureml, ports.identity, tls)
    # The app finds the emulator through AZURE_CLOUD alone; these two would make the SDK ask for clouds all the time.
    for variable in ("ARM_CLOUD_METADATA_URL", "REGISTRY_DISCOVERY_ENDPOINT_URL"):
        del cloud[variable]
    return {
        **DEFAULTS,
        **base_environment(),
        **cloud,
        "AZURE_SUBSCRIPTION_ID": names.SUBSCRIPTION,
        "AZURE_RESOURCE_GROUP": names.RESOURCE_GROUP,
        "AZUREML_WORKSPACE_NAME": names.WORKSPACE,
        "AzureWebJobsStorage": storage,
        "DATASET_STORAGE": storage,
        "PREPARED_DATASTORE": names.PREPARED_DATASTORE,
        "EVENT_TOPIC_ENDPOINT": f"https://127.0.0.1:{ports.eventgrid}/topics/{names.EVENTS_TOPIC}/api/events",
        **chosen,
    }


def urls(ports: Ports) -> dict[str, str]:
    """Return where everything answers."""
    account = azurite.ACCOUNT
    return {
        "functions": f"http://127.0.0.1:{ports.functions}",
        "api": f"http://127.0.0.1:{ports.functions}/api",
        "azureml": f"https://127.0.0.1:{ports.azureml}",
        "identity": f"http://127.0.0.1:{ports.identity}/msi/token",
        "eventgrid": f"https://127.0.0.1:{ports.eventgrid}",
        "blob": f"http://127.0.0.1:{ports.blob}/{account}",
        "queue": f"http://127.0.0.1:{ports.queue}/{account}",
        "table": f"http://127.0.0.1:{ports.table}/{account}",
    }


def event_subscriptions(ports: Ports, keys: Keys) -> dict[str, object]:
    """Return Event Grid's configuration: what infrastructure as code would create in Azure."""
    host = f"http://127.0.0.1:{ports.functions}/runtime/webhooks"
    common = {
        "schema": "EventGridSchema",
        "deadLetterContainer": names.DEADLETTER_CONTAINER,
        "maxDeliveryAttempts": 30,
        "eventTimeToLiveMinutes": 1440,
    }
    return {
        "watch": [names.DATASETS_CONTAINER],
        "retrySchedule": None,
        "subscriptions": [
            {
                "name": "datasets",
                "topic": names.STORAGE_TOPIC,
                "endpoint": f"{host}/blobs?functionName=Host.Functions.dataset_uploaded"
                f"&code={keys.system['blobs_extension']}",
                "includedEventTypes": ["Microsoft.Storage.BlobCreated"],
                "subjectBeginsWith": f"/blobServices/default/containers/{names.DATASETS_CONTAINER}/",
                **common,
            },
            {
                "name": "jobs",
                "topic": names.WORKSPACE_TOPIC,
                "endpoint": f"{host}/EventGrid?functionName=job_event&code={keys.system['eventgrid_extension']}",
                "includedEventTypes": [
                    "Microsoft.MachineLearningServices.RunCompleted",
                    "Microsoft.MachineLearningServices.RunStatusChanged",
                ],
                "subjectBeginsWith": None,
                **common,
            },
            {
                "name": "watch",
                "topic": names.EVENTS_TOPIC,
                "endpoint": f"https://127.0.0.1:{ports.eventgrid}/local/subscriber",
                "schema": "CloudEventSchemaV1_0",
            },
        ],
    }


def ml_python(root: Path) -> Path:
    """Return the Python that trains and serves: an environment of its own, as a job in Azure brings its own image."""
    return Path(os.environ.get("LOCAL_ML_PYTHON", root / ".venv-ml" / "bin" / "python"))
