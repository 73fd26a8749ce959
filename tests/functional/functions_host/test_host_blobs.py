"""Blob functions over a real queue: success, retries, poison, a vanished blob, a killed host."""

import json
import signal
from base64 import b64decode

import httpx
import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueServiceClient

from tests.functional.functions_host.hosts import until

APP = """
    from __future__ import annotations

    import os
    import time

    import azure.functions as func
    import azurefunctions.extensions.base  # the worker looks for it once, before any annotation is resolved


    class LazyModule:
        def __getattr__(self, name):
            import azurefunctions.extensions.bindings.blob as module
            return getattr(module, name)


    blob = LazyModule()
    app = func.FunctionApp()

    def note(name, text):
        with open(os.path.join(os.environ["OUT"], name), "a") as file:
            file.write(text + "\\n")

    @app.blob_trigger(arg_name="data", path="{container}/{project}/{name}", connection="DATASET_STORAGE",
                      source=func.BlobSource.EVENT_GRID)
    def by_content(data: func.InputStream) -> None:
        note("content", f"{data.name} {data.length} {data.read().decode()} {data.metadata} {data.uri}")

    @app.blob_trigger(arg_name="client", path="{container}/{name}", connection="DATASET_STORAGE",
                      source=func.BlobSource.EVENT_GRID)
    def by_reference(client: blob.BlobClient, context: func.Context) -> None:
        note("reference", f"{type(client).__name__} {client.container_name}/{client.blob_name} "
                          f"{client.download_blob().readall().decode()} {context.function_name}")

    @app.blob_trigger(arg_name="data", path="{container}/{name}", connection="DATASET_STORAGE",
                      source=func.BlobSource.EVENT_GRID)
    def failing(data: bytes) -> None:
        note("failing", data.decode())
        raise ValueError("no good")

    @app.blob_trigger(arg_name="client", path="{container}/{name}", connection="DATASET_STORAGE",
                      source=func.BlobSource.EVENT_GRID)
    def stuck(client: blob.BlobClient) -> None:
        note("stuck", "started")
        time.sleep(600 if os.environ.get("HANG") else 0)
        note("stuck", "ended")
"""


@pytest.fixture
def container(blobs, tmp_path):
    client = blobs.get_container_client(f"data{abs(hash(str(tmp_path))) % 10**12}")
    client.create_container()
    yield client
    client.delete_container()


@pytest.fixture
def queues(azurite):
    with QueueServiceClient.from_connection_string(azurite.connection_string) as client:
        yield client


def upload(container, name, content=b"hello", metadata=None):
    client = container.get_blob_client(name)
    client.upload_blob(content, overwrite=True, metadata=metadata)
    return client.url


def length(queues, name):
    try:
        return queues.get_queue_client(name).get_queue_properties().approximate_message_count
    except ResourceNotFoundError:
        return 0


def test_content_arrives_with_its_description(host, container, queues):
    host.write(APP)
    host.start()
    url = upload(container, "bot/a b.txt", metadata={"k": "v"})
    assert host.notify_blob("by_content", url) == 202
    (line,) = until(lambda: host.lines("content"))
    assert line == f"{container.container_name}/bot/a b.txt 5 hello {{'k': 'v'}} {url}"
    name = f"azure-webjobs-blobtrigger-{host.settings['AzureFunctionsWebHost__hostid']}"
    until(lambda: length(queues, name) == 0)


def test_a_blob_client_arrives_instead_of_the_content(host, container):
    host.write(APP)
    host.start()
    assert host.notify_blob("by_reference", upload(container, "big.bin")) == 202
    (line,) = until(lambda: host.lines("reference"))
    assert line == f"BlobClient {container.container_name}/big.bin hello by_reference"


def test_five_failures_make_a_message_poison(host, container, queues):
    host.write(APP)
    host.start()
    before = length(queues, "webjobs-blobtrigger-poison")
    host.notify_blob("failing", upload(container, "x"))
    until(lambda: length(queues, "webjobs-blobtrigger-poison") == before + 1)
    assert host.lines("failing") == ["hello"] * 5
    poison = queues.get_queue_client("webjobs-blobtrigger-poison")
    message = next(m for m in poison.receive_messages() if container.container_name in b64decode(m.content).decode())
    poison.delete_message(message)
    assert json.loads(b64decode(message.content)) == {
        "Type": "BlobTrigger",
        "FunctionId": "Host.Functions.failing",
        "BlobType": "BlockBlob",
        "ContainerName": container.container_name,
        "BlobName": "x",
        "ETag": '"0x1"',
    }


def test_a_blob_that_is_gone_and_an_unknown_function_are_accepted_and_forgotten(host, container):
    host.write(APP)
    host.start()
    url = upload(container, "gone")
    assert host.notify_blob("nobody", url) == 202
    container.delete_blob("gone")
    assert host.notify_blob("by_content", url) == 202
    until(lambda: "is gone, nothing to do" in host.log() and "no function Host.Functions.nobody" in host.log())
    assert host.lines("content") == []


def test_a_stuck_blob_function_holds_up_neither_others_nor_the_work_after_a_kill(host, container):
    host.settings["HANG"] = "1"
    host.write(APP)
    host.start()
    host.notify_blob("stuck", upload(container, "x"))
    until(lambda: host.lines("stuck"))
    host.notify_blob("by_reference", upload(container, "y"))
    until(lambda: host.lines("reference"))
    host.stop(signal.SIGKILL)
    del host.settings["HANG"]
    host.start()
    until(lambda: host.lines("stuck") == ["started", "started", "ended"], 45)


def test_blobs_are_run_by_hand_through_admin(host, container):
    host.write(APP)
    host.start()
    upload(container, "bot/x")
    given = {"input": f"{container.container_name}/bot/x"}
    assert httpx.post(f"{host.url}/admin/functions/by_content", json=given).status_code == 202
    until(lambda: host.lines("content"))
