"""Give the app once more what it could not take: poisoned uploads, and events that Event Grid could not deliver.

    python tools/replay.py --account NAME [--dry-run]

An upload that failed five times lies in the queue `webjobs-blobtrigger-poison`, one whose event was never taken in the
container `deadletter`. Both go back into the queue that the blob trigger reads, as the message that the host itself
would have written; only then is the old one deleted. Doing it twice does no harm: a version of a dataset is one run.

A job's event that was not delivered needs no replay, because the app looks at every unfinished run each minute: its
dead letter is deleted. What is neither is left where it is, and named. Exit code: 0 nothing is left, 1 something is.

You need azure-identity, azure-storage-blob and azure-storage-queue, a login (`az login`), and on the storage account
the roles Storage Queue Data Contributor and Storage Blob Data Contributor. Without --account the connection string in
DATASET_STORAGE is taken: that is how to replay on a local Azure.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient

FUNCTION_ID = "Host.Functions.dataset_uploaded"
POISON, DEAD_LETTERS, DATASETS = "webjobs-blobtrigger-poison", "deadletter", "datasets"
TRIGGER_QUEUES = "azure-webjobs-blobtrigger-"
BLOB_CREATED = "Microsoft.Storage.BlobCreated"
JOB_EVENTS = "Microsoft.MachineLearningServices."
SUBJECT = f"/blobServices/default/containers/{DATASETS}/blobs/"
OURS_FOR_S = 300
"""How long a poison message is hidden from others while it is looked at."""


class ReplayError(Exception):
    """Nothing can be replayed; the message says what to do."""


@dataclass
class Storage:
    """The storage account of the app."""

    blobs: BlobServiceClient
    queues: QueueServiceClient


@dataclass
class Replay:
    """One pass: what it does, and what it has to leave."""

    storage: Storage
    trigger_queue: QueueClient | None
    dry_run: bool
    left: int = 0

    def say(self, what: str, did: str) -> None:
        print(f"{'would have been ' if self.dry_run else ''}{did}: {what}")

    def leave(self, what: str, why: str) -> None:
        self.left += 1
        print(f"left: {what}: {why}")

    def send(self, message: str) -> None:
        """Put a message before the blob trigger. Raises: ReplayError: it has no queue yet."""
        if self.trigger_queue is None:
            raise ReplayError(
                f"There is no queue {TRIGGER_QUEUES}*: the app has never started with this account. Start it, or give "
                "--host-account when AzureWebJobsStorage is another account than that of the datasets."
            )
        if not self.dry_run:
            self.trigger_queue.send_message(message)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--account", help="storage account of the datasets; azd's AZURE_STORAGE_ACCOUNT_NAME")
    parser.add_argument("--host-account", help="that of AzureWebJobsStorage, when it is another one")
    parser.add_argument("--host-id", help="whose queue, when several function apps share the account")
    parser.add_argument("--suffix", default="core.windows.net", help="of the cloud, such as core.usgovcloudapi.net")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    asked = parser.parse_args(arguments)
    try:
        storage = storage_of(asked.account, asked.suffix)
        host = storage_of(asked.host_account, asked.suffix) if asked.host_account else storage
        return 1 if replay(storage, host, host_id=asked.host_id, dry_run=asked.dry_run) else 0
    except (ReplayError, AzureError) as fault:
        print(f"replay: {fault}", file=sys.stderr)
        return 1


def storage_of(account: str | None, suffix: str) -> Storage:
    """Return an account's clients. Raises: ReplayError: it is not known which account."""
    connection_string = os.environ.get("DATASET_STORAGE", "")
    if account is not None:
        identity = DefaultAzureCredential()
        return Storage(
            BlobServiceClient(f"https://{account}.blob.{suffix}", credential=identity),
            QueueServiceClient(f"https://{account}.queue.{suffix}", credential=identity),
        )
    if not connection_string:
        raise ReplayError("Which storage account? Give --account NAME.")
    return Storage(
        BlobServiceClient.from_connection_string(connection_string),
        QueueServiceClient.from_connection_string(connection_string),
    )


def replay(storage: Storage, host: Storage, *, host_id: str | None = None, dry_run: bool = False) -> int:
    """Replay all that there is. Returns: how much had to be left. Raises: ReplayError, AzureError."""
    work = Replay(storage, trigger_queue(host.queues, host_id), dry_run)
    poison(work)
    dead_letters(work)
    return work.left


def trigger_queue(queues: QueueServiceClient, host_id: str | None) -> QueueClient | None:
    """Return the queue that the blob trigger reads. Raises: ReplayError: there are several."""
    names = [queue.name for queue in queues.list_queues(name_starts_with=TRIGGER_QUEUES + (host_id or ""))]
    if host_id is not None:
        names = [name for name in names if name == TRIGGER_QUEUES + host_id]
    if len(names) > 1:
        ids = ", ".join(name.removeprefix(TRIGGER_QUEUES) for name in names)
        raise ReplayError(f"Several function apps use this account. Give --host-id, one of: {ids}")
    return queues.get_queue_client(names[0]) if names else None


def poison(work: Replay) -> None:
    """Move back what the blob trigger gave up. What comes into the queue meanwhile is left for the next time."""
    queue = work.storage.queues.get_queue_client(POISON)
    try:
        count = queue.get_queue_properties().approximate_message_count or 0
    except ResourceNotFoundError:
        return
    others = []
    for message in _first(queue, count, peek=work.dry_run):
        path = dataset_of(message.content)
        if path is None:
            work.leave(f"message {message.id} in {POISON}", "it is not one of this app's uploads")
            others.append(message)
            continue
        work.send(message.content)
        work.say(path, "replayed")
        if not work.dry_run:
            queue.delete_message(message)
    for message in [] if work.dry_run else others:
        queue.update_message(message, visibility_timeout=0)


def _first(queue: QueueClient, count: int, *, peek: bool) -> Iterator[QueueMessage]:
    if peek:
        yield from queue.peek_messages(max_messages=min(count, 32)) if count else []
    elif count:
        yield from queue.receive_messages(
            messages_per_page=min(count, 32), max_messages=count, visibility_timeout=OURS_FOR_S
        )


def dataset_of(content: str) -> str | None:
    """Return the blob that a message of the blob trigger is about, None when it is not this app's."""
    try:
        message = json.loads(base64.b64decode(content, validate=True))
    except (ValueError, binascii.Error):
        return None
    if not isinstance(message, dict) or message.get("FunctionId") != FUNCTION_ID:
        return None
    return f"{message.get('ContainerName')}/{message.get('BlobName')}"


def dead_letters(work: Replay) -> None:
    """Replay what Event Grid could not deliver. A blob of it is deleted when nothing in it is left."""
    container = work.storage.blobs.get_container_client(DEAD_LETTERS)
    try:
        names = [blob.name for blob in container.list_blobs()]
    except ResourceNotFoundError:
        return
    for name in names:
        left_before = work.left
        for event in _events(container.download_blob(name).readall()):
            _event(work, event, f"{DEAD_LETTERS}/{name}")
        if work.left == left_before and not work.dry_run:
            container.delete_blob(name)


def _events(data: bytes) -> list[Any]:
    """Return a dead letter's events; what cannot be read is an event of no kind, and therefore left."""
    try:
        document = json.loads(data)
    except ValueError:
        return [None]
    return document if isinstance(document, list) else [document]


def _event(work: Replay, event: Any, where: str) -> None:
    fields = event if isinstance(event, dict) else {}
    kind = str(fields.get("eventType") or fields.get("type") or "")
    subject = str(fields.get("subject") or "")
    if kind == BLOB_CREATED and subject.startswith(SUBJECT):
        work.send(message_of(fields))
        work.say(f"{DATASETS}/{subject.removeprefix(SUBJECT)}", "replayed")
    elif kind.startswith(JOB_EVENTS):
        work.say(f"{kind} of {subject}", "deleted, the app has looked at the job itself")
    else:
        work.leave(where, f"{kind or 'what cannot be read'} is not an event that this app takes")


def message_of(event: dict[str, Any]) -> str:
    """Return the message that the blob webhook makes of an event. Source: Azure WebJobs SDK, the blob extension."""
    told = event.get("data")
    data = told if isinstance(told, dict) else {}
    message = {
        "Type": "BlobTrigger",
        "FunctionId": FUNCTION_ID,
        "BlobType": data.get("blobType", "BlockBlob"),
        "ContainerName": DATASETS,
        "BlobName": str(event["subject"]).removeprefix(SUBJECT),
        "ETag": f'"{data.get("eTag", "")}"',
    }
    return base64.b64encode(json.dumps(message, indent=2).encode()).decode()


if __name__ == "__main__":
    sys.exit(main())
