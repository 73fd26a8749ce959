"""The emulator as a server: all resources together, two ports, start and stop."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import TracebackType

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.azureml import events, faults, identity, manners, operations
from local.azureml.components import routes as components
from local.azureml.computes import routes as computes
from local.azureml.data import routes as data
from local.azureml.datastores import routes as datastores
from local.azureml.deployments import routes as deployments
from local.azureml.deployments import store as deployment_store
from local.azureml.deployments.supervisor import DeploymentSupervisor
from local.azureml.endpoints import routes as endpoints
from local.azureml.endpoints import store as endpoint_store
from local.azureml.environments import routes as environments
from local.azureml.events import Outbox
from local.azureml.identity import identity_app
from local.azureml.jobs import routes as jobs
from local.azureml.jobs import state as job_state
from local.azureml.jobs.supervisor import JobSupervisor
from local.azureml.metrics import routes as metrics
from local.azureml.mlflow import routes as mlflow
from local.azureml.models import routes as models
from local.azureml.recorder import Recorder
from local.azureml.registries import routes as registries
from local.azureml.run_history import routes as run_history
from local.azureml.scoring.routes import FrontDoor
from local.azureml.scoring.routes import routes as scoring
from local.azureml.services import Config, Services
from local.azureml.storage import routes as storage
from local.azureml.store import Store
from local.azureml.usages import routes as usages
from local.azureml.workspaces import routes as workspaces
from local.clock import clock_of
from local.faults import http as fault_routes
from local.faults.layer import FaultLayer
from local.http_server import ThreadedServer

_RESOURCES = (
    workspaces,
    operations,
    registries,
    components,
    computes,
    usages,
    datastores,
    data,
    models,
    environments,
    endpoints,
    deployments,
    metrics,
    jobs,
    run_history,
    mlflow,
    storage,
)
_KEPT = timedelta(days=1)


def build_app(services: Services, front_door: FrontDoor) -> Starlette:
    """Put every resource's routes, the front door and Azure's manners together."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "now": services.now().isoformat()})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await front_door.close()

    found = [route for resource in _RESOURCES for route in resource.routes(services)]
    own = [Route("/local/health", health), *fault_routes.routes(services.config.state_dir)]
    every = [*own, *found, *scoring(front_door), manners.unknown_route(services)]
    app = Starlette(
        routes=[manners.ignore_case(route) for route in every],
        exception_handlers=manners.exception_handlers(services),
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.add_middleware(manners.Manners, services=services)
    app.add_middleware(Recorder, state_dir=services.config.state_dir)
    return app


def _with_faults(services: Services, app: Starlette) -> FaultLayer:
    def has_ended(path: str) -> bool:
        """Tell whether a job has ended and Event Grid has heard of it."""
        name = path.rstrip("/").rpartition("/")[2]
        doc = services.store.get(job_state.KIND, name)
        if doc is None or doc["status"] not in job_state.ENDED or doc["changes"]:
            return doc is None
        return not any(name in event["subject"] for _, event in services.store.list(events.KIND))

    def is_job(header: str | None) -> bool:
        """Tell whether a job's own process asks: it runs within Azure, and what the app meets is not its trouble."""
        return identity.job_of(header) is not None

    return FaultLayer(app, services.config.state_dir, services.now, faults.plane_of, has_ended, is_job)


class Emulator:
    """One running emulator. Use it as a context manager, or call `start` and `stop`.

    Args: now: instead of the clock of the state directory.
    """

    def __init__(self, config: Config, now: Callable[[], datetime] | None = None) -> None:
        store = Store(config.state_dir / "azureml" / "state.db")
        self.services = Services(config, store, now or clock_of(config.state_dir).now)
        self._outbox = Outbox(self.services)
        self._jobs = JobSupervisor(self.services)
        self._deployments = DeploymentSupervisor(self.services)
        front_door = FrontDoor(self.services, self._deployments.port)
        self._deployments.is_busy = front_door.is_busy
        tls = {"ssl_certfile": str(config.tls.cert), "ssl_keyfile": str(config.tls.key)}
        self._servers = (
            ThreadedServer(_with_faults(self.services, build_app(self.services, front_door)), config.port, **tls),
            ThreadedServer(identity_app(self.services), config.identity_port),
        )

    def _purge(self) -> None:
        """Forget what nobody can ask for any more: a client polls an operation for minutes, not for a day."""
        before = self.services.now() - _KEPT
        deployment_store.purge(self.services, before)
        endpoint_store.purge(self.services, before)
        operations.purge(self.services, before)

    def start(self) -> None:
        """Listen first, then take up the work that is recorded: what it starts may already call back."""
        self._purge()
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
