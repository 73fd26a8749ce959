"""What every functional test may use: one real Azurite for the session."""

import atexit
from collections.abc import Iterator

import pytest

from local.azurite import Azurite, Ports
from local.ports import KeptPort


def free_port() -> int:
    """Return a port that nobody else is given until this process ends, also while its server is started again."""
    port = KeptPort()
    atexit.register(port.release)
    return port.number


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    ports = Ports(free_port(), free_port(), free_port())
    with Azurite(tmp_path_factory.mktemp("azurite"), ports) as running:
        yield running
