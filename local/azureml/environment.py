"""How a client finds the emulator: the cloud's addresses, as keyword arguments or as environment variables."""

import json

from local.azureml.identity import identity_header
from local.tls import Tls


def cloud_name(port: int) -> str:
    """Answer the cloud's name. One per port: the SDK keeps the first cloud it saw under a name for ever."""
    return f"AmlLocal{port}"


def cloud_metadata(port: int) -> dict[str, str]:
    """Answer what MLClient(cloud=..., cloud_metadata=...) takes."""
    base = f"https://127.0.0.1:{port}"
    return {
        "azure_portal": base,
        "resource_manager": base,
        "active_directory": base,
        "aml_resource_id": base,
        "storage_endpoint": "core.windows.net",
        "registry_discovery_endpoint": f"{base}/",
    }


def metadata_endpoints(port: int) -> list[dict[str, object]]:
    """Answer Azure Resource Manager's list of clouds, in which this one is the only cloud.

    The portal's address decides the audience the SDK asks tokens for (https://ml.azure.com).
    """
    base = f"https://127.0.0.1:{port}"
    return [
        {
            "name": cloud_name(port),
            "portal": "https://portal.azure.com",
            "resourceManager": base,
            "authentication": {"loginEndpoint": base, "audiences": [base], "tenant": "common"},
            "suffixes": {"storage": "core.windows.net"},
        }
    ]


def client_environment(port: int, identity_port: int, tls: Tls) -> dict[str, str]:
    """Answer the environment in which a plain `MLClient(DefaultAzureCredential(), ...)` reaches the emulator."""
    base = f"https://127.0.0.1:{port}"
    return {
        "ARM_CLOUD_METADATA_URL": f"{base}/metadata/endpoints?api-version=2019-05-01",
        "REGISTRY_DISCOVERY_ENDPOINT_URL": f"{base}/",
        "REQUESTS_CA_BUNDLE": str(tls.ca_bundle),
        "CURL_CA_BUNDLE": str(tls.ca_bundle),
        "SSL_CERT_FILE": str(tls.ca_bundle),
        "IDENTITY_ENDPOINT": f"http://127.0.0.1:{identity_port}/msi/token",
        "IDENTITY_HEADER": identity_header(tls),
        "AZURE_CLOUD": json.dumps({"name": cloud_name(port), **cloud_metadata(port), "metrics": base}),
    }
