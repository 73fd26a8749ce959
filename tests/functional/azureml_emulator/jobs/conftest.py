"""A real emulator over real Azurite, with stub_training.py in the place of training; the real SDK as its client."""

import gc
import http.server
import json
import ssl
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient
from azure.ai.ml._restclient.arm_ml_service.models import JobStatus
from azure.ai.ml.dsl import pipeline
from azure.ai.ml.entities import PipelineJob
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from local import names, tls
from local.azureml.environment import client_environment, cloud_metadata, cloud_name
from local.azureml.server import Emulator
from local.azureml.services import Config
from local.azurite import Azurite
from tests.certificates import own_certificates
from tests.functional.azureml_emulator.jobs.command_jobs import Commands
from tests.functional.conftest import free_port

_STUB = Path(__file__).parent / "stub_training.py"
ENDED = ("Completed", "Failed", "Canceled")


class EventGridStub:
    """A topic that keeps what it is sent; while `down` it answers 503."""

    def __init__(self, certificates: tls.Tls) -> None:
        self.events: list[dict[str, Any]] = []
        self.paths: set[str] = set()
        self.down = False
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                is_down = stub.down  # asked once: what was not kept must not be answered as if it were
                if not is_down:
                    stub.paths.add(self.path)
                    stub.events += sent
                self.send_response(503 if is_down else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.cert, certificates.key)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def of_run(self, run_id: str) -> list[str]:
        """Say what was told of a run, in order: its statuses, and RunCompleted."""
        told = [event for event in self.events if event["data"]["runId"] == run_id]
        return [event["data"].get("runStatus", "RunCompleted") for event in told]

    def wait_for(self, run_id: str, *words: str, limit_s: float = 120) -> list[str]:
        """Wait until a run's events say all `words`, then a moment longer: for what should not come."""
        deadline = time.monotonic() + limit_s
        while not set(words) <= set(self.of_run(run_id)):
            assert time.monotonic() < deadline, f"{run_id}: {self.of_run(run_id)}"
            time.sleep(0.05)
        time.sleep(0.5)
        return self.of_run(run_id)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def shared_tls(tmp_path_factory: pytest.TempPathFactory) -> tls.Tls:
    return own_certificates(tmp_path_factory.mktemp("certificates") / "tls")


@pytest.fixture(scope="module")
def stub_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An "interpreter" for --ml-python that runs the stand-in, whatever module it is asked for."""
    script = tmp_path_factory.mktemp("stub") / "python"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{_STUB}" "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture(scope="module")
def event_grid(shared_tls: tls.Tls) -> Iterator[EventGridStub]:
    stub = EventGridStub(shared_tls)
    yield stub
    stub.close()


@pytest.fixture(scope="module")
def job_config(
    tmp_path_factory: pytest.TempPathFactory,
    shared_tls: tls.Tls,
    stub_python: Path,
    azurite: Azurite,
    event_grid: EventGridStub,
) -> Config:
    folder = tmp_path_factory.mktemp("emulator")
    return Config(
        port=free_port(),
        identity_port=free_port(),
        state_dir=folder / "state",
        cache_dir=folder / "cache",
        storage=azurite.connection_string,
        engine="fast",
        ml_python=stub_python,
        eventgrid=event_grid.url,
        speed=200.0,
        tls=shared_tls,
    )


@pytest.fixture(scope="module")
def emulator(job_config: Config) -> Iterator[Emulator]:
    """In this process, with an Event Grid to tell, and slow enough to see each status."""
    with Emulator(job_config) as running:
        yield running


@pytest.fixture(scope="module")
def client(emulator: Emulator, job_config: Config) -> Iterator[MLClient]:
    """The SDK, led to the emulator's port by configuration only."""
    with sdk_environment(job_config):
        yield make_client(job_config, resource_group_name=names.RESOURCE_GROUP, workspace_name=names.WORKSPACE)
    gc.collect()  # closes the client's connections, before the server does


@pytest.fixture(scope="module")
def registry(client: MLClient, job_config: Config) -> MLClient:
    return make_client(job_config, registry_name="azureml")


@contextmanager
def sdk_environment(config: Config) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for key, value in client_environment(config.port, config.identity_port, config.tls).items():
            if key in ("REQUESTS_CA_BUNDLE", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
                environment.setenv(key, value)
        # The SDK leaves the cloud's name in the environment, where the next test would find it.
        environment.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
        yield


def make_client(config: Config, **scope: str) -> MLClient:
    return MLClient(
        ManagedIdentityCredential(),
        **({} if "registry_name" in scope else {"subscription_id": names.SUBSCRIPTION}),
        **scope,
        cloud=cloud_name(config.port),
        cloud_metadata=cloud_metadata(config.port),
        enable_telemetry=False,
        polling_interval=0.1,
    )


@pytest.fixture(scope="module")
def upload(azurite: Azurite) -> Callable[..., str]:
    """Put a train file whose first row tells the stub what to do; answer its azureml:// address."""

    def put(**wish: Any) -> str:
        blob = f"{uuid.uuid4()}/train.jsonl"
        with BlobServiceClient.from_connection_string(azurite.connection_string) as storage:
            container = storage.get_container_client(names.PREPARED_CONTAINER)
            if not container.exists():
                container.create_container()
            container.upload_blob(blob, json.dumps({"stub": wish}) + "\n")
        return f"azureml://datastores/{names.PREPARED_DATASTORE}/paths/{blob}"

    return put


@pytest.fixture(scope="module")
def make_pipeline(registry: MLClient) -> Callable[..., PipelineJob]:
    """Build the pipeline as the notebook of Azure's samples does."""
    component = registry.components.get("chat_completion_pipeline", label="latest")
    model = registry.models.get("Phi-4", label="latest")

    def make(
        train_file: str, name: str | None = None, tags: dict[str, str] | None = None, **inputs: Any
    ) -> PipelineJob:
        @pipeline(name="chat-completion", display_name="bot-bs1")
        def create() -> dict[str, Any]:
            node = component(
                mlflow_model_path=Input(type="mlflow_model", path=model.id),
                train_file_path=Input(type="uri_file", path=train_file),
                task_name="ChatCompletion",
                **inputs,
            )
            return {"trained_model": node.outputs.mlflow_model_folder}

        job: PipelineJob = create()
        job.name = name or f"job-{uuid.uuid4().hex[:12]}"
        job.tags = tags or {}
        job.experiment_name = "bot"
        job.settings.force_rerun = True
        job.settings.continue_on_step_failure = False
        return job

    return make


@pytest.fixture(scope="module")
def submit(
    client: MLClient, make_pipeline: Callable[..., PipelineJob], upload: Callable[..., str]
) -> Callable[..., str]:
    """Submit a job whose stub does as asked; answer its name."""

    def put(**wish: Any) -> str:
        job = client.jobs.create_or_update(make_pipeline(upload(**wish)))
        return str(job.name)

    return put


@pytest.fixture(scope="module")
def wait_for(client: MLClient) -> Callable[..., str]:
    """Poll a job until it has one of the statuses; answer which."""

    def wait(name: str, *statuses: str, limit_s: float = 120) -> str:
        deadline = time.monotonic() + limit_s
        while (status := JobStatus(client.jobs.get(name).status).value) not in (statuses or ENDED):
            assert time.monotonic() < deadline, f"{name} is still {status}"
            time.sleep(0.05)
        return status

    return wait


@pytest.fixture(scope="module")
def commands(client: MLClient, registry: MLClient, azurite: Azurite, upload: Callable[..., str]) -> Iterator[Commands]:
    upload()  # makes the container
    with BlobServiceClient.from_connection_string(azurite.connection_string) as storage:
        yield Commands(client, registry, storage)
