"""Write what could not be delivered into a container, in Event Grid's layout."""

import json
import uuid
from contextlib import suppress
from datetime import datetime
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

from local.eventgrid.config import Subscription
from local.eventgrid.events import in_schema, is_cloud_event
from local.eventgrid.store import Delivery


def blob_name(subscription: Subscription, now: datetime) -> str:
    """Return `topic/SUBSCRIPTION/yyyy/m/d/h/guid.json`, as Event Grid lays its dead letters out."""
    day = f"{now.year}/{now.month}/{now.day}/{now.hour}"
    return f"{subscription.topic}/{subscription.name.upper()}/{day}/{uuid.uuid4()}.json"


def document(subscription: Subscription, delivery: Delivery, reason: str) -> list[dict[str, Any]]:
    """Return the dead letter: the event with the story of its delivery."""
    event = in_schema(delivery.event, subscription.schema)
    story: dict[str, Any] = {
        "deadLetterReason": reason,
        "deliveryAttempts": delivery.attempts,
        "lastDeliveryOutcome": delivery.last_outcome,
        "lastHttpStatusCode": delivery.last_status,
        "publishTime": delivery.published.isoformat(),
        "lastDeliveryAttemptTime": delivery.last_attempt.isoformat() if delivery.last_attempt else None,
    }
    if is_cloud_event(event):  # names of CloudEvents attributes are lower case
        story = {name.lower(): value for name, value in story.items()}
    return [event | story]


def write(storage: BlobServiceClient, subscription: Subscription, content: list[dict[str, Any]], now: datetime) -> None:
    """Upload one dead letter. Raises: AzureError: the storage does not take it."""
    container = storage.get_container_client(str(subscription.dead_letter_container))
    with suppress(ResourceExistsError):
        container.create_container()
    container.upload_blob(blob_name(subscription, now), json.dumps(content, indent=2))
