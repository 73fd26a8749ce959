"""What every functional test may use: one real Azurite for the session."""

import socket
from collections.abc import Iterator

import pytest

from local.azurite import Azurite, Ports


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    ports = Ports(free_port(), free_port(), free_port())
    with Azurite(tmp_path_factory.mktemp("azurite"), ports) as running:
        yield running
