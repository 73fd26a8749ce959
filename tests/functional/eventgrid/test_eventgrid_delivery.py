"""Topics and delivery: the real SDK publishes, a webhook receives."""

import json
import signal
from datetime import UTC, datetime

import pytest
from azure.core.credentials import AccessToken, AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient

from local import names
from tests.functional.conftest import free_port
from tests.functional.eventgrid.grids import Subscriber, until

EVENT = {
    "id": "1",
    "subject": "experiments/1/runs/r",
    "eventType": "Microsoft.MachineLearningServices.RunCompleted",
    "eventTime": "2026-01-01T00:00:00Z",
    "data": {"runId": "r"},
    "dataVersion": "",
}


class Token:
    """A credential as the SDK wants one; the local topics accept any token."""

    def get_token(self, *_scopes, **_more):
        return AccessToken("token", int(datetime.now(UTC).timestamp()) + 3600)


def publisher(grid, credential):
    endpoint = f"{grid.url}/topics/{names.EVENTS_TOPIC}/api/events"
    return EventGridPublisherClient(endpoint, credential, retry_total=0)


def subscription(subscriber, topic="workspace", **more):
    return {"name": "sub", "topic": topic, "endpoint": subscriber.url} | more


@pytest.mark.parametrize("credential", [Token(), AzureKeyCredential("key")])
def test_the_sdk_publishes_cloud_events_to_the_custom_topic(grid, subscriber, credential):
    grid.configure(subscription(subscriber, names.EVENTS_TOPIC, schema="CloudEventSchemaV1_0"))
    grid.start()
    event = CloudEvent(source="/finetune", type="FinetuneFunctions.RunStateChanged", data={"state": "live"})
    with publisher(grid, credential) as client:
        client.send([event])
    until(lambda: subscriber.received)
    headers, body = subscriber.received[0]
    assert CloudEvent.from_dict(body).id == event.id
    assert headers["aeg-event-type"] == "Notification"
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert [one["event"]["id"] for one in grid.accepted()] == [event.id]
    assert grid.stop() == 0


def test_the_sdk_publishes_event_grid_events_to_the_custom_topic(grid, subscriber):
    grid.configure(subscription(subscriber, names.EVENTS_TOPIC))
    grid.start()
    event = EventGridEvent(subject="s", event_type="t", data={"a": 1}, data_version="1")
    with publisher(grid, Token()) as client:
        client.send(event)
    (body,) = until(lambda: subscriber.events)
    assert (body["id"], body["data"], body["topic"]) == (
        str(event.id),
        {"a": 1},
        f"{names.RESOURCE_GROUP_ID}/providers/Microsoft.EventGrid/topics/finetune-events",
    )


def test_refusals_are_event_grids(grid):
    grid.configure()
    grid.start()
    with publisher(grid, AzureKeyCredential("")) as client, pytest.raises(ClientAuthenticationError):
        client.send(CloudEvent(source="s", type="t"))
    assert grid.publish("workspace", {"id": "1"}).status_code == 400
    assert grid.publish("workspace", [EVENT | {"data": "x" * 2**20}]).status_code == 413
    unknown = EventGridPublisherClient(f"{grid.url}/topics/other/api/events", Token())
    with unknown as client, pytest.raises(ResourceNotFoundError):
        client.send(CloudEvent(source="s", type="t"))
    assert grid.accepted() == []


def test_a_notification_is_an_array_of_one_with_event_grids_headers(grid, subscriber):
    grid.configure(subscription(subscriber, includedEventTypes=[EVENT["eventType"]], subjectBeginsWith="experiments/"))
    grid.start()
    others = [EVENT | {"id": "2", "eventType": "other"}, EVENT | {"id": "3", "subject": "x"}]
    assert grid.publish("workspace", [*others, EVENT]).status_code == 200
    headers, body = until(lambda: subscriber.received)[0]
    assert body == [EVENT | {"topic": names.WORKSPACE_ID, "metadataVersion": "1"}]
    assert (headers["aeg-subscription-name"], headers["aeg-delivery-count"]) == ("SUB", "0")
    assert subscriber.handshakes == 1
    assert len(subscriber.received) == 1


def test_failures_are_retried_until_a_success(grid, subscriber):
    subscriber.statuses = [500, 503]
    grid.configure(subscription(subscriber), retry=[0.1])
    grid.start()
    grid.publish("workspace", EVENT)
    until(lambda: len(subscriber.received) == 3)
    until(lambda: grid.health()["subscriptions"] == [{"name": "sub", "state": "Succeeded", "pending": 0}])
    assert [headers["aeg-delivery-count"] for headers, _ in subscriber.received] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("statuses", "reason", "attempts", "outcome"),
    [
        ([400], "UndeliverableDueToHttpBadRequest", 1, "BadRequest"),
        ([500, 503], "MaxDeliveryAttemptsExceeded", 2, "Busy"),
    ],
)
def test_what_cannot_be_delivered_becomes_a_dead_letter(
    grid, subscriber, container, statuses, reason, attempts, outcome
):
    subscriber.statuses = statuses
    more = {"deadLetterContainer": container.container_name, "maxDeliveryAttempts": 2}
    grid.configure(subscription(subscriber, **more), retry=[0.1])
    grid.start()
    grid.publish("workspace", EVENT)
    (name,) = until(lambda: container.exists() and [blob.name for blob in container.list_blobs()])
    assert name.startswith("workspace/SUB/")
    (letter,) = json.loads(container.download_blob(name).readall())
    assert (letter["id"], letter["deadLetterReason"]) == ("1", reason)
    assert (letter["deliveryAttempts"], letter["lastDeliveryOutcome"]) == (attempts, outcome)
    until(lambda: grid.health()["subscriptions"][0]["pending"] == 0)


def test_events_wait_for_a_subscriber_that_is_not_up_yet_and_for_a_killed_grid(grid):
    port = free_port()
    grid.configure({"name": "sub", "topic": "workspace", "endpoint": f"http://127.0.0.1:{port}/hook"}, retry=[0.1])
    grid.start()
    assert grid.publish("workspace", EVENT).status_code == 200
    assert grid.health()["subscriptions"] == [{"name": "sub", "state": "AwaitingHandshake", "pending": 1}]
    grid.stop(signal.SIGKILL)
    late = Subscriber(port)
    try:
        grid.start()
        assert until(lambda: late.events)[0]["id"] == "1"
        assert late.handshakes == 1
    finally:
        late.close()


def test_an_unusable_configuration_does_not_start(grid):
    grid.configure({"name": "s"})
    with pytest.raises(IndexError):
        grid.start()
    assert grid.process.wait(10) == 1
    assert "topic, endpoint not given" in grid.log()
