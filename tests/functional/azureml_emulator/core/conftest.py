"""An emulator with the real SDKs around it. Deployments run a stand-in (stub_serving.py) instead of a model."""

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.identity import ManagedIdentityCredential

from local import names, tls
from local.azureml.environment import client_environment, cloud_metadata, cloud_name
from local.azureml.server import Emulator
from local.azureml.services import Config
from local.azurite import Azurite
from tests.certificates import own_certificates
from tests.functional.azureml_emulator.core.driver import Wire, register
from tests.functional.conftest import free_port

with warnings.catch_warnings():
    # Importing azure-ai-ml makes marshmallow warn about how azure-ai-ml uses it.
    warnings.simplefilter("ignore")
    from azure.ai.ml import MLClient

HERE = Path(__file__).parent
_STUB = f"""#!/bin/sh
exec {sys.executable} {HERE / "stub_serving.py"} "$@"
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # azure-ai-ml uses marshmallow in a way that marshmallow 4 will not have; that is not ours to mend.
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning"))


@pytest.fixture(scope="session")
def stub_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An "interpreter" for --ml-python that runs the stand-in, whatever module it is asked for."""
    script = tmp_path_factory.mktemp("stub") / "python"
    script.write_text(_STUB)
    script.chmod(0o755)
    return script


@pytest.fixture(scope="session")
def shared_tls(tmp_path_factory: pytest.TempPathFactory) -> tls.Tls:
    """Certificates of the whole session: a client reads REQUESTS_CA_BUNDLE once."""
    return own_certificates(tmp_path_factory.mktemp("certificates") / "tls")


@pytest.fixture
def config(tmp_path: Path, azurite: Azurite, stub_python: Path, shared_tls: tls.Tls) -> Config:
    return _config(tmp_path, azurite, stub_python, shared_tls)


@pytest.fixture(scope="module")
def emulator(
    tmp_path_factory: pytest.TempPathFactory, azurite: Azurite, stub_python: Path, shared_tls: tls.Tls
) -> Iterator[Emulator]:
    """One emulator per module, in this process, so fast that Azure's own delays vanish."""
    config = _config(tmp_path_factory.mktemp("emulator"), azurite, stub_python, shared_tls)
    with Emulator(config) as running:
        yield running


def _config(folder: Path, azurite: Azurite, stub_python: Path, certificates: tls.Tls) -> Config:
    return Config(
        port=free_port(),
        identity_port=free_port(),
        state_dir=folder / "state",
        cache_dir=folder / "cache",
        storage=azurite.connection_string,
        engine="fast",
        ml_python=stub_python,
        eventgrid=None,
        speed=1e6,
        tls=certificates,
    )


@pytest.fixture(autouse=True)
def client_settings(monkeypatch: pytest.MonkeyPatch, shared_tls: tls.Tls) -> None:
    """What a client needs wherever the emulator listens: the certificate authority."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(shared_tls.ca_bundle))


Connect = Callable[[Config], MLClient]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Make a workspace client the first way: keyword arguments, and a managed identity from the environment."""

    def connected(config: Config, **kwargs: Any) -> MLClient:
        credential = credential_for(monkeypatch, config)
        target = {"registry_name": "azureml"} if "registry_name" in kwargs else {}
        place = {} if target else _workspace()
        # The SDK leaves the cloud's name in the environment, where the next test would find it.
        monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
        return MLClient(
            credential,
            **place,
            **target,
            cloud=cloud_name(config.port),
            cloud_metadata=cloud_metadata(config.port),
            enable_telemetry=False,
            polling_interval=0.1,
        )

    return connected


def credential_for(monkeypatch: pytest.MonkeyPatch, config: Config) -> ManagedIdentityCredential:
    for name, value in client_environment(config.port, config.identity_port, config.tls).items():
        if name.startswith("IDENTITY_"):
            monkeypatch.setenv(name, value)
    return ManagedIdentityCredential()


def _workspace() -> dict[str, str]:
    return {
        "subscription_id": names.SUBSCRIPTION,
        "resource_group_name": names.RESOURCE_GROUP,
        "workspace_name": names.WORKSPACE,
    }


@pytest.fixture
def client(connect: Connect, emulator: Emulator) -> MLClient:
    return connect(emulator.services.config)


@pytest.fixture
def registry(connect: Connect, emulator: Emulator) -> MLClient:
    return connect(emulator.services.config, registry_name="azureml")


@pytest.fixture
def wire(emulator: Emulator) -> Iterator[Wire]:
    with Wire(emulator.services.config) as session:
        yield session


@pytest.fixture
def greeter(client: MLClient, tmp_path: Path) -> str:
    """The ARM id of a registered model whose deployments answer "hello"."""
    return register(client, tmp_path, "greeter-model", {"answer.txt": "hello"})
