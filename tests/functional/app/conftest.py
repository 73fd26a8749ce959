"""The app with its real SDKs against an emulator (a process) and Azurite; stand-ins for training and serving."""

import os
import warnings
from collections.abc import Iterator

import pytest
from azure.data.tables import TableClient
from azure.storage.blob import BlobServiceClient

from local import environment
from local.azureml.recorder import recorded
from local.azurite import Azurite
from local.stack import RUNS_TABLE
from shared import services as shared_services
from shared.identity import credential
from shared.services import wire
from shared.settings import Settings
from tests.functional.app.cloud import Cloud, started
from tests.functional.app.driving import App, Clock
from tests.functional.azureml_emulator.core.driver import Wire
from tools.infra.operations import known_operations

with warnings.catch_warnings():
    # Importing azure-ai-ml makes marshmallow warn about how azure-ai-ml uses it.
    warnings.simplefilter("ignore")
    import azure.ai.ml  # noqa: F401


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, azurite: Azurite) -> Iterator[Cloud]:
    with started(tmp_path_factory.mktemp("cloud"), azurite) as running:
        yield running
    unknown = recorded(running.state_dir) - known_operations()
    assert not unknown, f"tools/infra/operations.json lacks what the app asked Azure for: {sorted(unknown)}"


@pytest.fixture(scope="module", autouse=True)
def app_environment(cloud: Cloud) -> Iterator[None]:
    """Give this process the environment of a Functions app: `services()`, the identity and TLS clients read it."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in os.environ.keys() - environment.base_environment().keys():
            patch.delenv(variable)
        for variable, value in cloud.app_environment().items():
            patch.setenv(variable, value)
        # The SDK leaves the cloud's name in the environment, where the next module would find it.
        patch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
        _forget()
        yield
        _forget()


def _forget() -> None:
    credential.cache_clear()
    shared_services.services.cache_clear()


@pytest.fixture(scope="module")
def module_app(cloud: Cloud, azurite: Azurite, app_environment: None) -> Iterator[App]:
    """The app, with its clients, for a module; at the end of which nothing is left."""
    clock = Clock()
    services = wire(Settings.load(cloud.app_environment()), now=clock)
    with Wire(cloud.config) as azure, BlobServiceClient.from_connection_string(azurite.connection_string) as storage:
        yield App(services, clock, cloud, azure, storage)
    cloud.kill_jobs_and_endpoints()
    with TableClient.from_connection_string(azurite.connection_string, RUNS_TABLE) as table:
        for row in table.list_entities(select=["PartitionKey", "RowKey"]):
            table.delete_entity(row)


@pytest.fixture
def app(module_app: App) -> Iterator[App]:
    """The app at the present time, with everything going well."""
    module_app.clock.offset *= 0
    module_app.cloud.faults()
    module_app.cloud.stub()
    yield module_app
