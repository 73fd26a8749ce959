"""tools/replay.py against Azurite: what lay aside is before the trigger again, and nothing is lost on the way."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite
from local.functions_host.blob_trigger import BlobMessage
from tools import replay

EVENTS = Path(__file__).resolve().parents[2] / "events"
QUEUE = "azure-webjobs-blobtrigger-finetune"
LETTER = "BLOB-UPLOADS/2026/11/24/12/0.json"


@pytest.fixture
def storage(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[replay.Storage]:
    monkeypatch.setenv("DATASET_STORAGE", azurite.connection_string)
    with (
        BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
        QueueServiceClient.from_connection_string(azurite.connection_string) as queues,
    ):
        _clear(blobs, queues)
        queues.create_queue(QUEUE)
        queues.create_queue(replay.POISON)
        blobs.create_container(replay.DEAD_LETTERS)
        yield replay.Storage(blobs, queues)
        _clear(blobs, queues)


def _clear(blobs: BlobServiceClient, queues: QueueServiceClient) -> None:
    for name in [
        one.name for one in queues.list_queues() if one.name.startswith((replay.TRIGGER_QUEUES, replay.POISON))
    ]:
        queues.delete_queue(name)
    try:
        blobs.delete_container(replay.DEAD_LETTERS)
    except ResourceNotFoundError:
        return


def message(blob: str = "bot/a.jsonl", function: str = replay.FUNCTION_ID) -> str:
    return BlobMessage(function, "datasets", blob, '"0x1"').content()


def waiting(storage: replay.Storage, queue: str = QUEUE) -> list[str]:
    return [one.content for one in storage.queues.get_queue_client(queue).peek_messages(32)]


def letters(storage: replay.Storage) -> list[str]:
    return [blob.name for blob in storage.blobs.get_container_client(replay.DEAD_LETTERS).list_blobs()]


def dead_letter(storage: replay.Storage, *events: dict[str, Any] | bytes, name: str = LETTER) -> None:
    body = events[0] if isinstance(events[0], bytes) else json.dumps(events)
    storage.blobs.get_blob_client(replay.DEAD_LETTERS, name).upload_blob(body)


def captured(name: str, **changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / name).read_text())
    return event | {"deadLetterReason": "MaxDeliveryAttemptsExceeded", "deliveryAttempts": 30} | changes


def uploaded(blob: str = "bot/a b.jsonl") -> dict[str, Any]:
    return captured("blob_created.eventgrid.json", subject=f"{replay.SUBJECT}{blob}")


def test_poisoned_uploads_are_before_the_trigger_again_unchanged(storage: replay.Storage) -> None:
    contents = [message(f"bot/{number}.jsonl") for number in range(40)]
    for content in contents:
        storage.queues.get_queue_client(replay.POISON).send_message(content)
    assert replay.main([]) == 0
    moved = [one.content for one in storage.queues.get_queue_client(QUEUE).receive_messages(messages_per_page=32)]
    assert sorted(moved) == sorted(contents)
    assert waiting(storage, replay.POISON) == []


def test_an_undelivered_upload_becomes_the_message_that_the_webhook_makes(storage: replay.Storage) -> None:
    dead_letter(storage, uploaded())
    assert replay.main([]) == 0
    (content,) = waiting(storage)
    parsed = BlobMessage.parse(content)
    assert parsed == BlobMessage(replay.FUNCTION_ID, "datasets", "bot/a b.jsonl", '"0x8D96060BDA19D9D"')
    assert json.loads(base64.b64decode(content))["Type"] == "BlobTrigger"
    assert letters(storage) == []


@pytest.mark.parametrize("file", ["run_completed.eventgrid.json", "run_completed.cloudevents.json"])
def test_a_jobs_event_is_not_replayed_and_not_kept(storage: replay.Storage, file: str) -> None:
    dead_letter(storage, captured(file))
    assert replay.main([]) == 0
    assert waiting(storage) == []
    assert letters(storage) == []


def test_what_is_not_this_apps_stays_and_is_named(storage: replay.Storage, capsys: pytest.CaptureFixture[str]) -> None:
    other = message(function="Host.Functions.somebody_elses")
    for content in (other, "no message at all"):
        storage.queues.get_queue_client(replay.POISON).send_message(content)
    elsewhere = captured("blob_created.eventgrid.json")
    dead_letter(storage, elsewhere, name="A/1.json")
    dead_letter(storage, b"{", name="B/1.json")
    dead_letter(storage, uploaded(), elsewhere, name="C/1.json")
    assert replay.main([]) == 1
    assert sorted(waiting(storage, replay.POISON)) == sorted([other, "no message at all"])
    assert letters(storage) == ["A/1.json", "B/1.json", "C/1.json"]
    assert [BlobMessage.parse(content).blob for content in waiting(storage)] == ["bot/a b.jsonl"]
    printed = capsys.readouterr().out
    assert printed.count("left: ") == 5
    assert "left: deadletter/B/1.json: what cannot be read is not an event that this app takes" in printed


def test_a_dry_run_says_it_and_does_nothing(storage: replay.Storage, capsys: pytest.CaptureFixture[str]) -> None:
    storage.queues.get_queue_client(replay.POISON).send_message(message())
    dead_letter(storage, uploaded())
    assert replay.main(["--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "would have been replayed: datasets/bot/a.jsonl",
        "would have been replayed: datasets/bot/a b.jsonl",
    ]
    assert waiting(storage) == []
    assert len(waiting(storage, replay.POISON)) == len(letters(storage)) == 1


def test_of_several_apps_one_has_to_be_named(storage: replay.Storage, capsys: pytest.CaptureFixture[str]) -> None:
    storage.queues.create_queue(f"{QUEUE}-2")
    storage.queues.get_queue_client(replay.POISON).send_message(message())
    assert replay.main([]) == 1
    assert "Give --host-id, one of: finetune, finetune-2" in capsys.readouterr().err
    assert len(waiting(storage, replay.POISON)) == 1
    assert replay.main(["--host-id", "finetune"]) == 0
    assert waiting(storage) == [message()]


def test_before_the_app_has_ever_started_nothing_is_taken_away(
    storage: replay.Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    storage.queues.delete_queue(QUEUE)
    dead_letter(storage, uploaded())
    assert replay.main([]) == 1
    assert "the app has never started with this account" in capsys.readouterr().err
    assert letters(storage) == [LETTER]


def test_without_an_account_it_asks_for_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATASET_STORAGE", raising=False)
    assert replay.main([]) == 1
    assert "Give --account NAME" in capsys.readouterr().err


def test_where_nothing_lies_aside_nothing_happens(storage: replay.Storage, capsys: pytest.CaptureFixture[str]) -> None:
    storage.queues.delete_queue(replay.POISON)
    storage.blobs.delete_container(replay.DEAD_LETTERS)
    assert replay.main([]) == 0
    assert capsys.readouterr().out == ""
