"""The storage account's connection string, taken apart."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StorageAccount:
    name: str
    key: str
    blob_endpoint: str

    def __repr__(self) -> str:
        return f"StorageAccount(name={self.name!r}, blob_endpoint={self.blob_endpoint!r})"


def parse(connection_string: str) -> StorageAccount:
    """Read a connection string with a BlobEndpoint, as Azurite's is.

    Raises: ValueError: it lacks AccountName, AccountKey or BlobEndpoint.
    """
    parts = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    missing = [name for name in ("AccountName", "AccountKey", "BlobEndpoint") if name not in parts]
    if missing:
        raise ValueError(f"the storage connection string has no {', '.join(missing)}")
    return StorageAccount(parts["AccountName"], parts["AccountKey"], parts["BlobEndpoint"].rstrip("/"))
