"""Turn uploads to Azurite into `Microsoft.Storage.BlobCreated` events: Azurite itself raises none."""

import logging
import sqlite3
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobProperties, BlobServiceClient

from local.eventgrid.broker import ACCOUNT_ID, Broker
from local.eventgrid.events import Event
from local.eventgrid.store import FullError, Store

log = logging.getLogger("eventgrid")

_LOOK_EVERY_S = 0.5
# So much is made into events at one time; the rest of a big upload follows half a second later.
_AT_ONCE = 200


class Watcher:
    """Looks at the containers about twice a second. A blob is seen once per ETag, over restarts too."""

    def __init__(self, containers: tuple[str, ...], storage: BlobServiceClient, store: Store, broker: Broker) -> None:
        self._containers = containers
        self._storage = storage
        self._store = store
        self._broker = broker
        self._stopping = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stopping.is_set():
            for container in self._containers:
                self._try(container)
            self._stopping.wait(_LOOK_EVERY_S)

    def _try(self, container: str) -> None:
        try:
            self.look(container)
            self._is_failing = False
        except (AzureError, FullError, sqlite3.Error) as error:
            if not self._is_failing:  # once, not twice a second
                log.error("container %s cannot be watched, trying again: %s", container, error)
            self._is_failing = True

    def look(self, container: str) -> None:
        """Compare the container with what was seen of it and publish the difference.

        Idempotency: by container, blob and ETag; the events and the note that they were made are one transaction.
        """
        seen = self._store.seen(container)
        found = self._list(container)
        new = [blob for name, blob in found.items() if seen.get(name) != blob.etag][:_AT_ONCE]
        gone: dict[str, str | None] = {name: None for name in seen if name not in found}
        if new or gone:
            events = [self._event(container, blob) for blob in new]
            changes = gone | {str(blob.name): str(blob.etag) for blob in new}
            self._broker.publish_blobs(container, changes, events)

    def _list(self, container: str) -> dict[str, BlobProperties]:
        client = self._storage.get_container_client(container)
        try:
            return {str(blob.name): blob for blob in client.list_blobs()}
        except ResourceNotFoundError:
            return {}

    def _event(self, container: str, blob: BlobProperties) -> Event:
        client = self._storage.get_blob_client(container, str(blob.name))
        api = "PutBlockList" if _has_blocks(client) else "PutBlob"
        return blob_created(container, blob, client.url, api, datetime.now(UTC))


def _has_blocks(client: Any) -> bool:
    try:
        committed, _ = client.get_block_list("committed")
    except AzureError:
        return False  # gone meanwhile, or no block blob
    return bool(committed)


def blob_created(
    container: str,
    blob: BlobProperties,
    url: str,
    api: str,
    seen: datetime,
    new_id: Callable[[], uuid.UUID] = uuid.uuid4,
) -> Event:
    """Return the event of one upload, in the shape of Microsoft's own. `seen`: when the watcher found it."""
    request_id = str(new_id())
    modified: datetime = blob.last_modified.astimezone(UTC)
    return {
        "topic": ACCOUNT_ID,
        "subject": f"/blobServices/default/containers/{container}/blobs/{blob.name}",
        "eventType": "Microsoft.Storage.BlobCreated",
        "id": str(new_id()),
        "data": {
            "api": api,
            "clientRequestId": str(new_id()),
            "requestId": request_id,
            "eTag": str(blob.etag).strip('"'),
            "contentType": blob.content_settings.content_type,
            "contentLength": blob.size,
            "blobType": str(getattr(blob.blob_type, "value", blob.blob_type)),
            "url": url,
            "sequencer": _sequencer(modified, seen),
            "storageDiagnostics": {"batchId": request_id},
            "accessTier": str(blob.blob_tier or "Hot"),
        },
        "dataVersion": "",
        "metadataVersion": "1",
        "eventTime": modified.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
    }


def _sequencer(modified: datetime, seen: datetime) -> str:
    # Only its order per blob has a meaning: later uploads compare greater. Azurite's times have whole seconds and its
    # ETags are random, so within a second the order is the one in which the uploads were seen.
    return f"{int(modified.timestamp()):032x}{int(seen.timestamp() * 1_000_000):016x}"
