"""Copies of models that lie in blob storage."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from azure.storage.blob import ContainerClient


def download_folder(storage: str, container: str, prefix: str, into: Path) -> Path:
    """Download every blob under a prefix, once; answer the folder.

    Idempotency: the folder's name is a function of the place, and it appears by one rename when it is complete.
    Raises: FileNotFoundError: there is no blob under the prefix.
    """
    prefix = prefix.strip("/") + "/"
    folder = into / hashlib.sha256(f"{container}/{prefix}".encode()).hexdigest()[:16]
    if folder.is_dir():
        return folder
    into.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="part-", dir=into))
    try:
        with ContainerClient.from_connection_string(storage, container) as client:
            _download(client, prefix, part)
        if not any(part.iterdir()):
            raise FileNotFoundError(f"there is no blob under {container}/{prefix}")
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _download(client: ContainerClient, prefix: str, folder: Path) -> None:
    for blob in client.list_blobs(name_starts_with=prefix):
        target = folder / blob.name.removeprefix(prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            client.download_blob(blob.name).readinto(file)
