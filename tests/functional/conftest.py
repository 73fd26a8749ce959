"""What every functional test may use: one real Azurite for the session."""

import atexit
import socket
from collections.abc import Iterator

import pytest

from local.azurite import Azurite, Ports


def free_port() -> int:
    """Return a port of this process's own, until this process ends: whoever is told may listen on it, again and again.

    It stays bound without listening, so that no other test, server or connection is given it before its server
    listens or while that is restarted. Every server here sets SO_REUSEADDR, as they do for a restart.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    atexit.register(keeper.close)
    return int(keeper.getsockname()[1])


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    ports = Ports(free_port(), free_port(), free_port())
    with Azurite(tmp_path_factory.mktemp("azurite"), ports) as running:
        yield running
