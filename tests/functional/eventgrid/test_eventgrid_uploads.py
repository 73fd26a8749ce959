"""Uploads to a real Azurite become events, and reach a blob function through a real host."""

import signal

from tests.functional.eventgrid.grids import until
from tests.functional.functions_host.hosts import Host

APP = """
    from __future__ import annotations

    import os

    import azure.functions as func
    import azurefunctions.extensions.bindings.blob as blob

    app = func.FunctionApp()

    @app.blob_trigger(arg_name="client", path="{container}/{name}", connection="DATASET_STORAGE",
                      source=func.BlobSource.EVENT_GRID)
    def uploaded(client: blob.BlobClient) -> None:
        with open(os.path.join(os.environ["OUT"], "uploaded"), "a") as file:
            file.write(f"{client.blob_name} {client.download_blob().readall().decode()}\\n")
"""


def events_of(subscriber):
    """Return each event once: one that was delivered just before a kill is delivered again."""
    return list({event["id"]: event for event in subscriber.events}.values())


def names_of(subscriber):
    return [event["subject"].split("/blobs/")[1] for event in events_of(subscriber)]


def start(grid, subscriber, container):
    one = {"name": "uploads", "topic": "storage", "endpoint": subscriber.url}
    grid.configure(one, watch=(container.container_name,))
    grid.start()


def test_every_upload_is_one_event_also_over_a_restart(grid, subscriber, container):
    start(grid, subscriber, container)
    container.create_container()
    container.upload_blob("a/x y.txt", b"1")
    until(lambda: names_of(subscriber) == ["a/x y.txt"])
    container.upload_blob("a/x y.txt", b"22", overwrite=True)
    until(lambda: len(events_of(subscriber)) == 2)
    grid.stop(signal.SIGKILL)
    container.upload_blob("while-down", b"3")
    grid.start()
    until(lambda: len(events_of(subscriber)) == 3)
    container.delete_blob("while-down")
    container.upload_blob("last", b"4")
    until(lambda: len(events_of(subscriber)) == 4)
    assert grid.stop() == 0
    assert names_of(subscriber) == ["a/x y.txt", "a/x y.txt", "while-down", "last"]
    first, second = (event["data"] for event in events_of(subscriber)[:2])
    assert (first["contentLength"], second["contentLength"]) == (1, 2)
    assert first["eTag"] != second["eTag"]
    assert first["sequencer"] < second["sequencer"]
    assert first["url"] == container.get_blob_client("a/x y.txt").url


def test_the_event_tells_how_the_blob_was_written(grid, subscriber, container):
    container.create_container()
    container.upload_blob("whole", b"1")
    blocks = container.get_blob_client("blocks")
    blocks.stage_block("aa", b"1")
    blocks.stage_block("bb", b"2")
    blocks.commit_block_list(["aa", "bb"])
    start(grid, subscriber, container)
    until(lambda: len(subscriber.received) == 2)
    apis = dict(zip(names_of(subscriber), (event["data"]["api"] for event in subscriber.events), strict=True))
    assert apis == {"whole": "PutBlob", "blocks": "PutBlockList"}


def test_an_upload_runs_a_blob_function(grid, container, azurite, tmp_path):
    host = Host(tmp_path / "host", azurite.connection_string)
    host.write(APP)
    host.start()
    try:
        one = {
            "name": "uploads",
            "topic": "storage",
            "endpoint": host.webhook("blobs", "Host.Functions.uploaded"),
            "includedEventTypes": ["Microsoft.Storage.BlobCreated"],
            "subjectBeginsWith": f"/blobServices/default/containers/{container.container_name}/",
        }
        grid.configure(one, watch=(container.container_name,))
        grid.start()
        container.create_container()
        container.upload_blob("bot/ä b.jsonl", b"hello")
        until(lambda: host.lines("uploaded") == ["bot/ä b.jsonl hello"])
    finally:
        assert host.stop() == 0
