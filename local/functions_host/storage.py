"""Storage clients from app settings: a connection string, or an identity with service addresses."""

from collections.abc import Mapping
from typing import Any

from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient


class StorageSettingError(ValueError):
    """No setting of the expected names describes the connection."""


class Connections:
    """The storage connections that bindings name. Clients are made at the first use and kept."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._clients: dict[tuple[str, str], Any] = {}

    def check(self, name: str) -> None:
        """Raises: StorageSettingError: neither `NAME` nor `NAME__blobServiceUri` (and so on) is set."""
        if not self._text(name) and not self._address(name, "blob"):
            raise StorageSettingError(
                f"Storage account connection string '{name}' does not exist. Make sure that it is a defined "
                f"App Setting ({name}, or {name}__blobServiceUri and {name}__queueServiceUri)."
            )

    def blobs(self, name: str) -> BlobServiceClient:
        client: BlobServiceClient = self._client(name, "blob", BlobServiceClient)
        return client

    def queues(self, name: str) -> QueueServiceClient:
        client: QueueServiceClient = self._client(name, "queue", QueueServiceClient)
        return client

    def _client(self, name: str, service: str, kind: Any) -> Any:
        if (name, service) not in self._clients:
            self._clients[name, service] = self._make(name, service, kind)
        return self._clients[name, service]

    def _make(self, name: str, service: str, kind: Any) -> Any:
        if text := self._text(name):
            return kind.from_connection_string(text)
        address = self._address(name, service)
        if not address:
            raise StorageSettingError(f"{name}__{service}ServiceUri is not set: a blob trigger needs blobs and queues")
        return kind(address, credential=self._credential(name))

    def _text(self, name: str) -> str | None:
        # The host looks for the prefixed name first.
        return self._environ.get(f"AzureWebJobs{name}") or self._environ.get(name)

    def _address(self, name: str, service: str) -> str | None:
        if address := self._environ.get(f"{name}__{service}ServiceUri"):
            return address
        if service == "blob" and (address := self._environ.get(f"{name}__serviceUri")):
            return address
        account = self._environ.get(f"{name}__accountName")
        return f"https://{account}.{service}.core.windows.net" if account else None

    def _credential(self, name: str) -> Any:
        if client_id := self._environ.get(f"{name}__clientId"):
            return ManagedIdentityCredential(client_id=client_id)
        return DefaultAzureCredential()
