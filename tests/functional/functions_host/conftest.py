"""Fixtures of the host's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from local.azurite import Azurite
from tests.functional.functions_host.hosts import Host


@pytest.fixture
def host(tmp_path: Path, azurite: Azurite) -> Iterator[Host]:
    made = Host(tmp_path, azurite.connection_string)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.fixture
def blobs(azurite: Azurite) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        yield client
