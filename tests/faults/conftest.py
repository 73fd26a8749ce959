"""One local Azure with the simulated engine for all storms, and the options that replay one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from azure.data.tables import TableClient
from azure.storage.blob import BlobServiceClient

from local import environment
from local.azurite import Azurite, Ports
from local.stack import RUNS_TABLE, create_infrastructure
from tests.faults.post_office import PostOffice
from tests.faults.storm import Place
from tests.functional.app.cloud import Cloud
from tests.functional.azureml_emulator.core.driver import Wire
from tests.functional.conftest import free_port

SEEDS, RUNS, KILLS = range(1, 11), 30, 6


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="replay the storm of this seed alone")
    parser.addoption("--runs", type=int, default=RUNS, help="runs of a storm")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--seed", default=None)
        metafunc.parametrize("seed", SEEDS if chosen is None else [chosen])


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--runs", default=RUNS))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    ports, post = Ports(free_port(), free_port(), free_port()), free_port()
    folder = tmp_path_factory.mktemp("storms")
    with Azurite(folder / "azurite", ports) as azurite:
        create_infrastructure(azurite.connection_string)
        cloud = Cloud(folder / "cloud", azurite, engine="simulated", eventgrid=f"https://127.0.0.1:{post}")
        post_office = PostOffice(post, cloud.config.tls)
        cloud.start()
        with (
            pytest.MonkeyPatch.context() as patch,
            BlobServiceClient.from_connection_string(azurite.connection_string) as storage,
            TableClient.from_connection_string(azurite.connection_string, RUNS_TABLE) as table,
        ):
            # The hosts are forked and inherit it: the identity and TLS clients read the environment.
            for variable in os.environ.keys() - environment.base_environment().keys():
                patch.delenv(variable)
            for variable, value in cloud.app_environment().items():
                patch.setenv(variable, value)
            patch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
            yield Place(cloud, storage, table, post_office, folder / "hosts.log")
        cloud.stop()
        post_office.close()


@pytest.fixture
def azure(place: Place) -> Iterator[Wire]:
    """The workspace as it is; after a test, nothing of it is left running, and no run is left to look at."""
    with Wire(place.cloud.config) as wire:
        yield wire
    place.cloud.kill_jobs_and_endpoints()
    for row in place.table.list_entities(select=["PartitionKey", "RowKey"]):
        place.table.delete_entity(row)
