import json
from pathlib import Path

import pytest
from azure.core.messaging import CloudEvent

from local.eventgrid.config import Config, ConfigError, Subscription
from local.eventgrid.events import EventError, completed, in_schema, parse

EVENT = json.loads((Path(__file__).parents[3] / "events" / "blob_created.eventgrid.json").read_text())
CLOUD = {"specversion": "1.0", "id": "1", "source": "here", "type": "t", "data": {}}
VALID = {"name": "s", "topic": "storage", "endpoint": "http://x"}


def test_one_event_and_a_list_are_accepted():
    assert parse(json.dumps(EVENT).encode()) == [EVENT]
    assert parse(json.dumps([EVENT, CLOUD]).encode()) == [EVENT, CLOUD]


@pytest.mark.parametrize("document", [[], [1], {}, {"specversion": "1.0"}, EVENT | {"eventType": None}])
def test_an_incomplete_event_is_refused(document):
    with pytest.raises(EventError):
        parse(json.dumps(document).encode())


def test_the_topic_is_added_when_the_publisher_left_it_out():
    event = {name: value for name, value in EVENT.items() if name != "topic"}
    assert completed(event, "/topic")["topic"] == "/topic"
    assert completed(EVENT, "/topic")["topic"] == EVENT["topic"]
    assert completed(CLOUD, "/topic") == CLOUD


def test_an_event_turned_into_a_cloud_event_is_read_by_the_sdk():
    event = CloudEvent.from_dict(in_schema(EVENT, "CloudEventSchemaV1_0"))
    assert (event.type, event.subject, event.id) == (EVENT["eventType"], EVENT["subject"], EVENT["id"])
    assert event.data == EVENT["data"]


def test_filters_choose_by_topic_type_and_subject():
    subscription = Subscription(
        "s", "storage", "http://x", frozenset({"Microsoft.Storage.BlobCreated"}), "/blobservices/default/containers/gao"
    )
    assert subscription.wants("storage", EVENT)
    assert not subscription.wants("workspace", EVENT)
    assert not subscription.wants("storage", EVENT | {"eventType": "Microsoft.Storage.BlobDeleted"})
    assert not subscription.wants("storage", EVENT | {"subject": "/blobServices/default/containers/other"})


def test_a_configuration_is_read(tmp_path):
    path = tmp_path / "config.json"
    more = {"schema": None, "includedEventTypes": None, "subjectBeginsWith": None, "deadLetterContainer": "deadletter"}
    path.write_text(json.dumps({"watch": ["datasets"], "subscriptions": [VALID | more], "retrySchedule": None}))
    expected = Subscription("s", "storage", "http://x", dead_letter_container="deadletter")
    assert Config.read(path) == Config(("datasets",), (expected,), None)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"subscriptions": [{"name": "s"}]}, "s: topic, endpoint not given"),
        ({"subscriptions": [VALID, VALID]}, "same name"),
        ({"subscriptions": [VALID | {"schema": "Other"}]}, "'Other'"),
        ({"subscriptions": [VALID | {"maxDeliveryAttempts": 31}]}, "1-30"),
        ([], "config.json"),
    ],
)
def test_an_unusable_configuration_says_why(tmp_path, document, message):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=message):
        Config.read(path)
