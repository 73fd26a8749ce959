"""The emulator as a server: all resources together, two ports, start and stop."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.azureml import manners, operations
from local.azureml.components import routes as components
from local.azureml.computes import routes as computes
from local.azureml.data import routes as data
from local.azureml.datastores import routes as datastores
from local.azureml.deployments import routes as deployments
from local.azureml.deployments.supervisor import DeploymentSupervisor
from local.azureml.endpoints import routes as endpoints
from local.azureml.events import Outbox
from local.azureml.identity import identity_app
from local.azureml.jobs import routes as jobs
from local.azureml.jobs.supervisor import JobSupervisor
from local.azureml.metrics import routes as metrics
from local.azureml.mlflow import routes as mlflow
from local.azureml.models import routes as models
from local.azureml.registries import routes as registries
from local.azureml.run_history import routes as run_history
from local.azureml.scoring.routes import FrontDoor
from local.azureml.scoring.routes import routes as scoring
from local.azureml.services import Config, Services
from local.azureml.storage import routes as storage
from local.azureml.store import Store
from local.azureml.workspaces import routes as workspaces

_RESOURCES = (
    workspaces,
    operations,
    registries,
    components,
    computes,
    datastores,
    data,
    models,
    endpoints,
    deployments,
    metrics,
    jobs,
    run_history,
    mlflow,
    storage,
)
_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 3


def build_app(services: Services, front_door: FrontDoor) -> Starlette:
    """Put every resource's routes, the front door and Azure's manners together."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await front_door.close()

    found = [route for resource in _RESOURCES for route in resource.routes(services)]
    every = [Route("/local/health", health), *found, *scoring(front_door), manners.unknown_route(services)]
    app = Starlette(
        routes=[manners.ignore_case(route) for route in every],
        exception_handlers=manners.exception_handlers(services),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.add_middleware(manners.Manners, services=services)
    return app


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Emulator:
    """One running emulator. Use it as a context manager, or call `start` and `stop`."""

    def __init__(self, config: Config, now: Callable[[], datetime] = _utc_now) -> None:
        self.services = Services(config, Store(config.state_dir / "azureml" / "state.db"), now)
        self._outbox = Outbox(self.services)
        self._jobs = JobSupervisor(self.services)
        self._deployments = DeploymentSupervisor(self.services)
        front_door = FrontDoor(self.services, self._deployments.port)
        tls = {"ssl_certfile": str(config.tls.cert), "ssl_keyfile": str(config.tls.key)}
        self._servers = (
            _Server(build_app(self.services, front_door), config.port, **tls),
            _Server(identity_app(self.services), config.identity_port),
        )

    def start(self) -> None:
        """Listen first, then take up the work that is recorded: what it starts may already call back."""
        for server in self._servers:
            server.start()
        self._outbox.start()
        self._deployments.start()
        self._jobs.start()

    def stop(self) -> None:
        self._jobs.stop()
        self._deployments.stop()
        self._outbox.stop()
        for server in self._servers:
            server.stop()
        self.services.store.close()

    def __enter__(self) -> "Emulator":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Uvicorn(uvicorn.Server):
    """A server that ends at once when nobody is being answered.

    Clients keep idle connections open, and closing a TLS connection politely waits for the other side, which does
    not look. So idle ones are cut, and those still busy after the grace period too.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._cut(idle_only=True)
        await super().shutdown(sockets)
        self._cut(idle_only=False)
        await asyncio.sleep(0.05)  # lets the loop take notice, or it would be closed with open connections

    def _cut(self, *, idle_only: bool) -> None:
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            busy = cycle is not None and not cycle.response_complete
            transport = getattr(connection, "transport", None)
            if transport is not None and not (busy and idle_only):
                transport.abort()


class _Server:
    """A uvicorn server in a thread of its own."""

    def __init__(
        self, app: Starlette, port: int, ssl_certfile: str | None = None, ssl_keyfile: str | None = None
    ) -> None:
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                host="127.0.0.1",
                port=port,
                ssl_certfile=ssl_certfile,
                ssl_keyfile=ssl_keyfile,
                ws="none",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_STOP_LIMIT_S,
            )
        )
        self._port = port
        self._thread = threading.Thread(target=self._server.run, name=f"http-{port}", daemon=True)

    def start(self) -> None:
        """Start and wait until the port answers.

        Raises: OSError: the port could not be opened.
        """
        self._thread.start()
        deadline = time.monotonic() + _START_LIMIT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise OSError(f"port {self._port} of 127.0.0.1 could not be opened: is it in use?")
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
