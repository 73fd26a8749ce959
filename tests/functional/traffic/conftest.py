"""Azure Monitor as the emulator plays it, over HTTP, with endpoints and requests as a test says; no process serves."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from local import azurite, environment, names, tls
from local.azureml import faults
from local.azureml.arm import resource_id
from local.azureml.deployments import store as deployments
from local.azureml.endpoints import state as endpoint_state
from local.azureml.endpoints import store as endpoints
from local.azureml.environment import client_environment
from local.azureml.http import timestamp
from local.azureml.identity import identity_app
from local.azureml.metrics import store as metrics
from local.azureml.scoring.routes import FrontDoor
from local.azureml.server import build_app
from local.azureml.services import Config, Services
from local.azureml.store import Store
from local.faults import changes
from local.faults.layer import FaultLayer
from local.http_server import ThreadedServer
from shared.identity import credential
from shared.settings import Settings
from shared.traffic import Asked, OwnRequest
from tests.certificates import own_certificates
from tests.functional.conftest import free_port

NOW = datetime.now(UTC).replace(second=30, microsecond=0)
"""The emulator's time, which stands still. The real one at the start, because the SDK looks when its tokens end."""


class Town:
    """The emulator's store, and what has been asked of it."""

    def __init__(self, folder: Path, certificates: tls.Tls) -> None:
        self.now, self.calls = NOW, Counter[str]()
        config = Config(
            port=free_port(),
            identity_port=free_port(),
            state_dir=folder,
            cache_dir=folder,
            storage=azurite.connection_string(9, 9, 9),  # nobody: nothing here stores anything
            engine="simulated",
            ml_python=folder,
            eventgrid=None,
            speed=1e6,
            tls=certificates,
        )
        self.services = Services(config, Store(folder / "state.db"), lambda: self.now)

    def endpoint(self, name: str, *deployments_: str, born: timedelta = timedelta(days=40), **state: Any) -> None:
        """Let an endpoint be there with deployments, since a while; `phase` may be another than Succeeded."""
        then = NOW - born
        self.services.store.put(
            endpoints.KIND, name.lower(), {**endpoint_state.created(then, speed=1e6), "name": name, "tags": {}}
        )
        for one in deployments_:
            doc = {"phase": "Succeeded", "created": timestamp(then), "delete_ends": None, **state}
            doc |= {"name": one, "endpoint": name}
            self.services.store.put(deployments.KIND, deployments.key(name, one), doc)

    def request(self, endpoint: str, deployment: str, ago: timedelta, status: int = 200, clients: int = 1) -> None:
        """Let a request have been counted some time ago."""
        then = replace(self.services, now=lambda: NOW - ago)
        metrics.record(then, endpoint, deployment, status, status, 5.0, clients)

    def fault(self, **requests: Any) -> None:
        changes.add(self.services.config.state_dir, {"requests": [requests]})

    def lag(self, span: timedelta) -> None:
        self.services.config = replace(self.services.config, metrics_lag_s=span.total_seconds())

    def settings(self, **changes_: str) -> Settings:
        config = self.services.config
        cloud = client_environment(config.port, config.identity_port, config.tls)["AZURE_CLOUD"]
        fixed = {
            "AZURE_CLOUD": cloud,
            "AZURE_SUBSCRIPTION_ID": names.SUBSCRIPTION,
            "AZURE_RESOURCE_GROUP": names.RESOURCE_GROUP,
            "AZUREML_WORKSPACE_NAME": names.WORKSPACE,
            "DATASET_STORAGE": "UseDevelopmentStorage=true",
            "ADVANCE_SCHEDULE": "* * * * * *",
            "SWEEP_SCHEDULE": "* * * * * *",
        }
        return Settings.load({**fixed, **changes_})


class _Counting:
    def __init__(self, app: ASGIApp, calls: Counter[str]) -> None:
        self._app, self._calls = app, calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._calls["batch" if scope["path"].endswith("metrics:getBatch") else "single"] += 1
        await self._app(scope, receive, send)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tls.Tls:
    """One authority for the session: a client reads REQUESTS_CA_BUNDLE once."""
    return own_certificates(tmp_path_factory.mktemp("certificates") / "tls")


@pytest.fixture
def town(tmp_path: Path, certificates: tls.Tls, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    made = Town(tmp_path, certificates)
    services, config = made.services, made.services.config
    for variable in os.environ.keys() - environment.base_environment().keys():
        monkeypatch.delenv(variable)
    for variable, value in client_environment(config.port, config.identity_port, certificates).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    credential.cache_clear()
    app = FaultLayer(
        build_app(services, FrontDoor(services, lambda _: None)), config.state_dir, services.now, faults.plane_of
    )
    secured = {"ssl_certfile": str(certificates.cert), "ssl_keyfile": str(certificates.key)}
    servers = [
        ThreadedServer(_Counting(app, made.calls), config.port, **secured),
        ThreadedServer(identity_app(services), config.identity_port),
    ]
    for server in servers:
        server.start()
    yield made
    for server in servers:
        server.stop()
    services.store.close()
    credential.cache_clear()


def asked(
    name: str, *deployments_: str, window: timedelta = timedelta(hours=8), own: tuple[OwnRequest, ...] = ()
) -> Asked:
    """Ask about an endpoint of the workspace as the sweep does."""
    return Asked(name, resource_id("onlineEndpoints", name), "East US", NOW - window, deployments_, own)
