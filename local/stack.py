"""The local Azure as a whole: what runs, in which order, with what."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from local import environment, names, ports, tls
from local.azurite import Azurite
from local.azurite import Ports as AzuritePorts
from local.faults.book import Book
from local.functions_host import keys
from local.processes import Service, ServiceError

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".local" / "cache"
RUNS_TABLE = "finetuneruns"


@dataclass(frozen=True)
class Options:
    """How to run the local Azure. settings: of the app, over the local defaults."""

    state_dir: Path
    engine: str = "lora"
    port_base: int | None = None
    auth: bool = False
    speed: float = 45.0
    settings: Mapping[str, str] = field(default_factory=dict)
    host_log: IO[str] | None = None


class Stack:
    """Azurite, Event Grid, the Azure ML emulator and the Functions host."""

    def __init__(self, options: Options) -> None:
        self.options = options
        state = options.state_dir.resolve()
        self.state_dir = state
        self.ports = ports.choose(state, options.port_base)
        self.tls = tls.ensure(state / "tls")
        self.keys = keys.load(state)
        self._faults = Book(state)
        self.azurite = Azurite(state / "azurite", AzuritePorts(self.ports.blob, self.ports.queue, self.ports.table))
        self.eventgrid = self._eventgrid()
        self.azureml = self._azureml()
        self.functions = self._functions()

    @property
    def env(self) -> dict[str, str]:
        """What a script needs to talk to all of it."""
        return environment.script_environment(self.ports, self.tls, self.keys)

    @property
    def urls(self) -> dict[str, str]:
        """Where everything answers."""
        return environment.urls(self.ports)

    def start(self) -> None:
        """Start everything and return when all of it answers.

        Raises: AzuriteError, ServiceError: something did not start; what had started is stopped again.
        """
        try:
            self.eventgrid.start()
            self.azureml.start()
            self.azurite.start()
            create_infrastructure(self.azurite.connection_string)
            self.functions.start()
            for service in self.services:
                service.wait_ready(self.tls.ca_bundle)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything, storage last."""
        for service in reversed(self.services):
            service.stop()
        self.azurite.stop()

    @property
    def services(self) -> list[Service]:
        """The processes besides Azurite, in the order of their start."""
        return [self.eventgrid, self.azureml, self.functions]

    def keep_alive(self) -> list[str]:
        """Start again what has ended by itself, as a platform does; return the names of those.

        Raises: ServiceError: storage ended, or something keeps ending.
        """
        if not self.azurite.is_running():
            raise ServiceError(f"azurite ended unexpectedly; its log is {self.state_dir / 'azurite' / 'azurite.log'}")
        ended = [service for service in self.services if not service.is_running()]
        for service in ended:
            service.start_again(was_asked_for=service.pid is not None and self._faults.was_killed(service.pid))
        return [service.name for service in ended]

    def pids(self) -> dict[str, int | None]:
        """Return the process ids of what runs."""
        return {"azurite": self.azurite.pid} | {service.name: service.pid for service in self.services}

    def _eventgrid(self) -> Service:
        config = self.state_dir / "eventgrid.json"
        config.write_text(json.dumps(environment.event_subscriptions(self.ports, self.keys), indent=2))
        return self._service(
            "eventgrid",
            ["--port", str(self.ports.eventgrid), "--storage", self.azurite.connection_string, "--config", str(config)],
            health=f"https://127.0.0.1:{self.ports.eventgrid}/local/health",
        )

    def _azureml(self) -> Service:
        arguments = {
            "--port": self.ports.azureml,
            "--identity-port": self.ports.identity,
            "--cache-dir": CACHE,
            "--storage": self.azurite.connection_string,
            "--engine": self.options.engine,
            "--ml-python": environment.ml_python(ROOT),
            "--eventgrid": f"https://127.0.0.1:{self.ports.eventgrid}",
            "--speed": self.options.speed,
        }
        return self._service(
            "azureml",
            [str(part) for pair in arguments.items() for part in pair],
            health=f"https://127.0.0.1:{self.ports.azureml}/local/health",
        )

    def _functions(self) -> Service:
        arguments = ["--port", str(self.ports.functions), "--app-root", str(ROOT)]
        return self._service(
            "functions_host",
            arguments + (["--auth"] if self.options.auth else []),
            health=f"http://127.0.0.1:{self.ports.functions}/admin/host/ping",
            env=environment.app_environment(self.ports, self.tls, self.options.settings),
            echo=self.options.host_log,
        )

    def _service(
        self,
        name: str,
        arguments: list[str],
        *,
        health: str,
        env: Mapping[str, str] | None = None,
        echo: IO[str] | None = None,
    ) -> Service:
        command = [sys.executable, "-m", f"local.{name}", "--state-dir", str(self.state_dir), *arguments]
        certificates = dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"), str(self.tls.ca_bundle))
        return Service(
            name,
            command,
            health=health,
            env={**(env or environment.base_environment()), **certificates, "PYTHONPATH": str(ROOT)},
            log=self.state_dir / "logs" / f"{name}.log",
            echo=echo,
        )


def create_infrastructure(connection_string: str) -> None:
    """Create what infrastructure as code creates in Azure: containers and the table of runs. Idempotent."""
    from azure.core.exceptions import ResourceExistsError
    from azure.data.tables import TableServiceClient
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient.from_connection_string(connection_string) as blobs:
        for container in (
            names.DATASETS_CONTAINER,
            names.PREPARED_CONTAINER,
            names.RUNS_CONTAINER,
            names.DEADLETTER_CONTAINER,
        ):
            try:
                blobs.create_container(container)
            except ResourceExistsError:
                continue
    with TableServiceClient.from_connection_string(connection_string) as tables:
        tables.create_table_if_not_exists(RUNS_TABLE)
