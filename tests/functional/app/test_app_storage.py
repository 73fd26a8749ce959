"""Blobs as streams, against the real storage SDK: everything is read, exactly one version of it, and nothing half."""

import json

import pytest

from shared.errors import DatasetGoneError, ResourceGoneError
from shared.runs import actions
from shared.storage import BLOCK_SIZE, find_blob_info
from tests.functional.app.driving import App, conversations


@pytest.mark.parametrize("size", [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 2 * BLOCK_SIZE])
def test_a_blob_of_any_size_is_read_to_its_end(app: App, size: int) -> None:
    content = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    info = app.upload(content[:size])
    blocks = list(app.services.blobs.read(info.container, info.name, info.etag))
    assert b"".join(blocks) == content[:size]
    assert all(len(block) <= BLOCK_SIZE for block in blocks)


def test_every_row_of_a_large_dataset_is_used(app: App) -> None:
    data = conversations(12, padding="x" * 800_000)
    assert len(data) > 2 * BLOCK_SIZE
    run = app.advance(app.received(data))
    assert run.state == "training"
    report = app.blob_json("prepared", f"{run.id}/report.json")
    assert (report["bytes_read"], report["rows_read"], report["rows_kept"]) == (len(data), 12, 12)
    rows = [
        json.loads(line)
        for file in ("train", "test")
        for line in app.blob(f"{run.id}/{file}.jsonl", "prepared").download_blob().readall().splitlines()
    ]
    assert sorted(len(row["prompt"]) for row in rows) == sorted(
        len(json.loads(line)["messages"][0]["content"]) for line in data.splitlines()
    )
    actions.cancel(app.services, run.id)


def test_a_blob_that_is_replaced_or_removed_while_it_is_read_is_not_mixed_with_another(app: App) -> None:
    for change in (
        lambda client: client.upload_blob(b"y" * 3 * BLOCK_SIZE, overwrite=True),
        lambda client: client.upload_blob(b"short", overwrite=True),
        lambda client: client.delete_blob(),
    ):
        info = app.upload(b"x" * (2 * BLOCK_SIZE))
        blocks = app.services.blobs.read(info.container, info.name, info.etag)
        assert next(blocks) == b"x" * BLOCK_SIZE
        change(app.blob(info.name))
        with pytest.raises(DatasetGoneError, match=info.name):
            next(blocks)


def test_what_is_written_appears_when_it_is_complete(app: App) -> None:
    writer = app.services.blobs.writer("prepared", "written/a.jsonl")
    content = b"0123456789" * (BLOCK_SIZE // 8)
    for at in range(0, len(content), 1_000_000):
        writer.write(content[at : at + 1_000_000])
    assert app.services.blobs.describe("prepared", "written/a.jsonl") is None
    with pytest.raises(ResourceGoneError):
        app.services.blobs.require("prepared", "written/a.jsonl")
    writer.commit()
    assert app.blob("written/a.jsonl", "prepared").download_blob().readall() == content
    info = find_blob_info(app.blob("written/a.jsonl", "prepared"))
    assert info is not None
    assert (info.size, info.is_folder) == (len(content), False)


def test_two_writers_of_the_same_blob_do_not_mix_their_blocks(app: App) -> None:
    first, second = (app.services.blobs.writer("prepared", "both/a.jsonl") for _ in range(2))
    for _ in range(2):
        first.write(b"1" * BLOCK_SIZE)
        second.write(b"2" * BLOCK_SIZE)
    second.commit()
    assert set(app.blob("both/a.jsonl", "prepared").download_blob().readall()) == {ord("2")}
