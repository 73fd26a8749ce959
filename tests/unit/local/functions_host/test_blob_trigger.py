import base64
import json
from pathlib import Path

import pytest

from local.functions_host.blob_trigger import BlobEventError, BlobMessage, path_tokens

EVENT = json.loads((Path(__file__).parents[3] / "events" / "blob_created.eventgrid.json").read_text())


def test_microsofts_event_becomes_microsofts_message():
    message = BlobMessage.from_event("Host.Functions.f", EVENT)
    assert json.loads(base64.b64decode(message.content())) == {
        "Type": "BlobTrigger",
        "FunctionId": "Host.Functions.f",
        "BlobType": "BlockBlob",
        "ContainerName": "gaocontainer",
        "BlobName": "Template1.xlsx",
        "ETag": '"0x8D96060BDA19D9D"',
    }
    assert BlobMessage.parse(message.content()) == message


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://a.blob.core.windows.net/c/x/y%20z.txt", "c/x/y z.txt"),
        ("http://127.0.0.1:10000/devstoreaccount1/c/x/y.txt", "c/x/y.txt"),
        ("http://localhost:10000/devstoreaccount1/c/y.txt", "c/y.txt"),
    ],
)
def test_the_address_names_the_blob(url, path):
    assert BlobMessage.from_event("f", {"data": {"url": url}}).path == path


@pytest.mark.parametrize("event", [{}, {"data": {}}, {"data": {"url": "https://a/c"}}, {"data": []}])
def test_an_event_without_a_blob_is_an_error(event):
    with pytest.raises(BlobEventError):
        BlobMessage.from_event("f", event)


@pytest.mark.parametrize("content", ["", "%", base64.b64encode(b"[]").decode(), base64.b64encode(b"{}").decode()])
def test_a_foreign_message_is_an_error(content):
    with pytest.raises(BlobEventError):
        BlobMessage.parse(content)


@pytest.mark.parametrize(
    ("pattern", "path", "tokens"),
    [
        ("datasets/{name}", "datasets/a/b.txt", {"name": "a/b.txt"}),
        ("datasets/{project}/{name}.jsonl", "datasets/bot/x.jsonl", {"project": "bot", "name": "x"}),
        ("datasets/{name}", "other/a", {}),
        ("datasets", "datasets/a", {}),
    ],
)
def test_path_tokens_are_read(pattern, path, tokens):
    assert path_tokens(pattern, path) == tokens
