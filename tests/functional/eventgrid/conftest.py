"""Fixtures of the Event Grid tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.azurite import Azurite
from tests.functional.eventgrid.grids import Grid, Subscriber


@pytest.fixture
def grid(tmp_path: Path, azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Grid]:
    made = Grid(tmp_path, azurite.connection_string)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.tls.ca_bundle))  # as every process of `local up` has it
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    made = Subscriber()
    yield made
    made.close()


@pytest.fixture
def container(tmp_path: Path, azurite: Azurite) -> Iterator[ContainerClient]:
    """A container of the test's own; it does not exist yet."""
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        client = service.get_container_client(f"watched{abs(hash(str(tmp_path))) % 10**12}")
        yield client
        if client.exists():
            client.delete_container()
