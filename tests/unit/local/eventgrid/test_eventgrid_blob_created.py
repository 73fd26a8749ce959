"""The watcher's event has the shape of Microsoft's own."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.storage.blob import BlobProperties, ContentSettings

from local.eventgrid.watcher import blob_created

REAL = json.loads((Path(__file__).parents[3] / "events" / "blob_created.eventgrid.json").read_text())
SEEN = datetime(2026, 1, 2, 3, 4, 9, tzinfo=UTC)
_BLINK = timedelta(milliseconds=500)


def upload(name="a/b.jsonl", etag='"0x8D96060BDA19D9D"', second=6, seen=SEEN):
    blob = BlobProperties()
    blob.name, blob.etag, blob.size, blob.blob_type = name, etag, 17, "BlockBlob"
    blob.last_modified = datetime(2026, 1, 2, 3, 4, second, tzinfo=UTC)
    blob.content_settings = ContentSettings(content_type="application/jsonl")
    return blob_created("datasets", blob, "http://127.0.0.1:1/acc/datasets/a/b.jsonl", "PutBlob", seen)


def test_the_fields_are_microsofts():
    event = upload()
    assert event.keys() == REAL.keys()
    assert event["data"].keys() == REAL["data"].keys()
    assert {name: type(value) for name, value in event["data"].items()} == {
        name: type(value) for name, value in REAL["data"].items()
    }


def test_the_values_are_the_blobs():
    event = upload()
    assert event["subject"] == "/blobServices/default/containers/datasets/blobs/a/b.jsonl"
    assert event["eventTime"] == "2026-01-02T03:04:06.0000000Z"
    assert event["data"]["eTag"] == "0x8D96060BDA19D9D"
    assert (event["data"]["contentLength"], event["data"]["contentType"]) == (17, "application/jsonl")


def test_a_later_upload_has_a_greater_sequencer():
    first, second = upload(), upload(etag='"0x1"', second=7)
    assert first["data"]["sequencer"] < second["data"]["sequencer"]
    assert len(first["data"]["sequencer"]) == len(REAL["data"]["sequencer"])


def test_an_upload_within_the_same_second_has_a_greater_sequencer_whatever_its_etag():
    first, second = upload(etag='"0x2205CA75F63DCC0"'), upload(etag='"0x205D6A78AEE5840"', seen=SEEN + _BLINK)
    assert first["data"]["sequencer"] < second["data"]["sequencer"]
    assert len(second["data"]["sequencer"]) == len(REAL["data"]["sequencer"])
