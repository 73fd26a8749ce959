"""Blobs as streams: reading one version of a blob in ranges, writing a blob that appears only when complete."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.errors import DatasetGoneError, RefusedByAzureError, ResourceGoneError
from shared.identity import PATIENCE, credential
from shared.settings import StorageAddress

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobServiceClient

BLOCK_SIZE = 4 * 1024 * 1024
"""Bytes of a range read and of a staged block: a measured compromise of memory and speed; 50,000 blocks are 195 GiB."""

COPIED_ETAG = "finetune_source_etag"


@dataclass(frozen=True)
class BlobInfo:
    """A blob as it is now. etag without quotes, size in bytes, md5 in hex where the service knows it.

    Azure computes the MD5 of what is put in one request; of a blob put together from blocks it knows none.
    """

    container: str
    name: str
    etag: str
    modified_at: datetime
    size: int
    metadata: Mapping[str, str]
    md5: str | None = None

    @property
    def is_folder(self) -> bool:
        """Tell whether this is the marker of a folder in an account with a hierarchical namespace."""
        return self.metadata.get("hdi_isfolder", "").lower() == "true"


class Blobs:
    """The storage account's blobs."""

    def __init__(self, address: StorageAddress) -> None:
        self._address = address
        self._service: BlobServiceClient | None = None

    def describe(self, container: str, name: str) -> BlobInfo | None:
        """Return what is known of a blob, None when it does not exist."""
        return find_blob_info(self._client(container, name))

    def read(self, container: str, name: str, etag: str) -> Iterator[bytes]:
        """Yield the content of one version of a blob in blocks of `BLOCK_SIZE`.

        Raises: DatasetGoneError: the blob was removed, or replaced while it was read.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        try:
            stream = self._client(container, name).download_blob(
                etag=f'"{etag}"', match_condition=MatchConditions.IfNotModified
            )
            # The SDK holds every further range to the ETag of the first one.
            yield from stream.chunks()
        except ResourceNotFoundError as gone:
            raise DatasetGoneError(f"{container}/{name} was removed before it was read to its end.") from gone
        except ResourceModifiedError as changed:
            raise DatasetGoneError(
                f"{container}/{name} was replaced while it was read; the new version makes a run of its own."
            ) from changed

    def read_small(self, container: str, name: str) -> bytes | None:
        """Return a small blob's whole content, None when it does not exist."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return bytes(self._client(container, name).download_blob().readall())
        except ResourceNotFoundError:
            return None

    def write_small(self, container: str, name: str, data: bytes, content_type: str = "application/json") -> None:
        """Write a small blob in one request, over an older one."""
        from azure.storage.blob import ContentSettings

        self._client(container, name).upload_blob(
            data, overwrite=True, content_settings=ContentSettings(content_type=content_type)
        )

    def copy(self, container: str, name: str, etag: str, to: tuple[str, str]) -> bool:
        """Copy one version of a blob within the account, without moving its bytes through this process.

        Returns: whether the copy is complete; it goes on by itself, so ask again.
        Idempotency: the copy carries the version's ETag; a complete or pending copy of it is left alone.
        Raises: DatasetGoneError: the blob was removed or replaced. RefusedByAzureError: the copying failed; asked once
        more, it is begun anew.
        """
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        source, target = self._client(container, name), self._client(*to)
        found = find_copy(target)
        if found is not None and found.etag == etag:
            if found.status in ("failed", "aborted"):
                target.delete_blob()
                raise RefusedByAzureError(f"Copying {container}/{name} within the storage account {found.status}.")
            return found.status != "pending"
        try:
            begun = target.start_copy_from_url(
                source.url,
                metadata={COPIED_ETAG: etag},
                source_etag=f'"{etag}"',
                source_match_condition=MatchConditions.IfNotModified,
            )
        except ResourceNotFoundError as gone:
            raise DatasetGoneError(f"{container}/{name} was removed before it was prepared.") from gone
        except ResourceModifiedError as changed:
            raise DatasetGoneError(
                f"{container}/{name} was replaced before it was prepared; the new version makes a run of its own."
            ) from changed
        return bool(begun["copy_status"] == "success")

    def delete(self, container: str, name: str, etag: str | None = None) -> None:
        """Delete a blob, with an ETag only that version of it; one that is not there needs nothing."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        condition = {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified} if etag else {}
        with contextlib.suppress(ResourceNotFoundError, ResourceModifiedError):
            self._client(container, name).delete_blob(**condition)

    def writer(self, container: str, name: str) -> BlockWriter:
        """Return a writer for a large blob."""
        return BlockWriter(self._client(container, name))

    def require(self, container: str, name: str) -> None:
        """Raise ResourceGoneError when a blob that an earlier step wrote is not there any more."""
        if self.describe(container, name) is None:
            raise ResourceGoneError(
                f"{container}/{name} is gone: it was removed after the run had written it. "
                "Upload the dataset again: that makes a new run."
            )

    def list(self, container: str, since: datetime) -> Iterator[BlobInfo]:
        """Yield a container's blobs that were written after a time."""
        for blob in self._connected().get_container_client(container).list_blobs(include=["metadata"]):
            if blob.last_modified > since:
                yield _info(container, str(blob.name), blob)

    def folder(self, container: str, folder: str) -> Iterator[BlobInfo]:
        """Yield what lies in a folder itself, not in those below it. folder: "" for the top, else with its slash."""
        client = self._connected().get_container_client(container)
        for blob in client.walk_blobs(name_starts_with=folder or None, include=["metadata"], delimiter="/"):
            if not hasattr(blob, "etag"):
                continue  # a folder
            yield _info(container, str(blob.name), blob)

    def within(self, container: str, prefix: str) -> Iterator[BlobInfo]:
        """Yield all blobs below a prefix."""
        for blob in self._connected().get_container_client(container).list_blobs(name_starts_with=prefix):
            yield _info(container, str(blob.name), blob)

    def url(self, container: str, name: str) -> str:
        """Return a blob's address, for people who may read it."""
        return str(self._client(container, name).url)

    def _client(self, container: str, name: str) -> BlobClient:
        return self._connected().get_blob_client(container, name)

    def _connected(self) -> BlobServiceClient:
        if self._service is None:
            self._service = _service(self._address)
        return self._service


class BlockWriter:
    """Writes a blob block by block; nothing is visible before `commit`, and Azure drops an abandoned writer's blocks.

    Blocks carry a prefix of this writer's own, so that two workers writing the same blob never mix their blocks. The
    first one's commit throws the other's blocks away, and the other's then fails: commit under the run's lease only.
    """

    def __init__(self, client: BlobClient) -> None:
        self._client = client
        self._prefix = secrets.token_hex(8)
        self._blocks: list[str] = []
        self._buffer = bytearray()

    def write(self, data: bytes | bytearray) -> None:
        """Take more bytes; stages a block whenever one is full."""
        self._buffer += data
        while len(self._buffer) >= BLOCK_SIZE:
            self._stage(bytes(self._buffer[:BLOCK_SIZE]))
            del self._buffer[:BLOCK_SIZE]

    def commit(self, content_type: str = "application/jsonl") -> None:
        """Make the blob appear with everything written."""
        from azure.storage.blob import BlobBlock, ContentSettings

        if self._buffer:
            self._stage(bytes(self._buffer))
            self._buffer.clear()
        self._client.commit_block_list(
            [BlobBlock(block_id=block) for block in self._blocks],
            content_settings=ContentSettings(content_type=content_type),
        )

    def _stage(self, data: bytes) -> None:
        block = base64.b64encode(f"{self._prefix}-{len(self._blocks):06d}".encode()).decode()
        self._client.stage_block(block, data, length=len(data))
        self._blocks.append(block)


@dataclass(frozen=True)
class CopyState:
    """A blob that was made by `Blobs.copy`: of which version, and how far it is."""

    etag: str | None
    status: str | None


def find_copy(client: BlobClient) -> CopyState | None:
    """Ask a blob how its copying goes; None when it does not exist."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        properties: Any = client.get_blob_properties()
    except ResourceNotFoundError:
        return None
    metadata = {key.lower(): value for key, value in (properties.metadata or {}).items()}
    return CopyState(metadata.get(COPIED_ETAG), properties.copy.status)


def find_blob_info(client: BlobClient) -> BlobInfo | None:
    """Ask a blob for its properties; None when it does not exist."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        properties: Any = client.get_blob_properties()
    except ResourceNotFoundError:
        return None
    return _info(client.container_name, client.blob_name, properties)


def _info(container: str, name: str, properties: Any) -> BlobInfo:
    return BlobInfo(
        container=container,
        name=name,
        etag=properties.etag.strip('"'),
        modified_at=properties.last_modified,
        size=properties.size,
        metadata=dict(properties.metadata or {}),
        md5=bytes(md5).hex() if (md5 := properties.content_settings.content_md5) else None,
    )


def _service(address: StorageAddress) -> BlobServiceClient:
    from azure.storage.blob import BlobServiceClient, ExponentialRetry

    # The SDK's default waits 15 s before its first retry; a run is tried again by its own schedule long before.
    retry = ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=2)
    patience = {name: PATIENCE[name] for name in ("connection_timeout", "read_timeout")}
    blocks = {"max_single_get_size": BLOCK_SIZE, "max_chunk_get_size": BLOCK_SIZE}
    if address.connection_string:
        return BlobServiceClient.from_connection_string(
            address.connection_string, retry_policy=retry, **patience, **blocks
        )
    return BlobServiceClient(str(address.blob_url), credential=credential(), retry_policy=retry, **patience, **blocks)
