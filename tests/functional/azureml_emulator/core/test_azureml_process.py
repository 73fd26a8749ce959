"""The emulator as a process of its own: found by the environment alone, stopped, killed, started again."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from local.azureml.environment import client_environment
from local.azureml.services import Config
from tests.functional.azureml_emulator.core.driver import Wire, eventually

REPOSITORY = Path(__file__).parents[4]
ENDPOINT = {"location": "eastus", "properties": {"authMode": "Key"}}
Start = Callable[[], "subprocess.Popen[bytes]"]


def command(config: Config) -> list[str]:
    options = {
        "--port": config.port,
        "--identity-port": config.identity_port,
        "--state-dir": config.state_dir,
        "--cache-dir": config.cache_dir,
        "--storage": config.storage,
        "--engine": config.engine,
        "--ml-python": config.ml_python,
        "--speed": config.speed,
    }
    pairs = [str(part) for option in options.items() for part in option]
    return [sys.executable, "-m", "local.azureml", *pairs]


@pytest.fixture
def config_with_own_tls(config: Config) -> Config:
    """The certificates a process makes in its state folder are those of the session, already there."""
    folder = config.state_dir / "tls"
    folder.mkdir(parents=True)
    for file in config.tls.cert.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return config


@pytest.fixture
def start(config_with_own_tls: Config, tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[bytes]] = []

    def started() -> "subprocess.Popen[bytes]":
        with (tmp_path / "emulator.log").open("ab") as log:
            process = subprocess.Popen(command(config_with_own_tls), cwd=REPOSITORY, stdout=log, stderr=log)
        processes.append(process)
        eventually(lambda: healthy(config_with_own_tls, process))
        return process

    yield started
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def healthy(config: Config, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, "the emulator ended while starting"
    try:
        url = f"{config.base_url}/local/health"
        return requests.get(url, verify=str(config.tls.ca_bundle), timeout=2).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def deploy(wire: Wire, config: Config, **settings: Any) -> str:
    """Create an endpoint with a deployment that answers; return the pid of its process, as text."""
    begin_to_deploy(wire, "m", {"answer.txt": b"still here"}, **settings)
    succeeded(wire)
    traffic = {"location": "eastus", "properties": {"authMode": "Key", "traffic": {"blue": 100}}}
    assert wire("PUT", "onlineEndpoints/lasting", traffic).status_code == 201
    return serving_pid(config)


def begin_to_deploy(wire: Wire, model: str, files: dict[str, bytes], **settings: Any) -> requests.Response:
    for name, content in files.items():
        upload(wire, f"LocalUpload/{model}/{name}", content)
    uri = f"azureml://datastores/workspaceblobstore/paths/LocalUpload/{model}"
    asked = {"properties": {"modelType": "mlflow_model", "modelUri": uri}}
    registered = wire("PUT", f"models/{model}/versions/1", asked).json()
    wire("PUT", "onlineEndpoints/lasting", ENDPOINT)
    properties = {"endpointComputeType": "Managed", "instanceType": "Standard_F4s_v2", "model": registered["id"]}
    properties |= settings
    made = wire("PUT", "onlineEndpoints/lasting/deployments/blue", {"location": "eastus", "properties": properties})
    assert made.status_code == 201
    return made


def upload(wire: Wire, path: str, content: bytes) -> None:
    datastore = wire("GET", "datastores/workspaceblobstore").json()["properties"]
    url = f"https://{datastore['accountName']}.blob.core.windows.net/{datastore['containerName']}/{path}"
    put = wire.raw("PUT", url, data=content, headers={"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-12-02"})
    assert put.status_code == 201


def succeeded(wire: Wire) -> None:
    path = "onlineEndpoints/lasting/deployments/blue"
    eventually(lambda: wire("GET", path).json()["properties"]["provisioningState"] == "Succeeded")


def serving_pid(config: Config) -> str:
    log = config.state_dir / "azureml" / "deployments" / "lasting" / "blue.log"
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "fd" / "1").readlink() == log:
                found.append(folder.name)
        except OSError:
            continue
    (pid,) = found
    return pid


def score(wire: Wire) -> requests.Response:
    key = wire("POST", "onlineEndpoints/lasting/listKeys").json()["primaryKey"]
    uri = wire("GET", "onlineEndpoints/lasting").json()["properties"]["scoringUri"]
    return wire.raw("POST", uri, json={}, headers={"Authorization": f"Bearer {key}"})


def test_a_plain_script_works_by_its_environment_alone(
    start: Start, config_with_own_tls: Config, tmp_path: Path
) -> None:
    start()
    config = config_with_own_tls
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "answer.txt").write_text("plainly")
    environment = client_environment(config.port, config.identity_port, config.tls)
    script = Path(__file__).with_name("plain_script.py")
    ran = subprocess.run(
        [sys.executable, str(script), str(folder)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout.strip().rpartition("\n")[2]) == {
        "model": "azureml://registries/azureml/models/Phi-4/versions/8",
        "component": "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82",
        "cluster": "STANDARD_NC24ADS_A100_V4",
        "answer": "plainly",
        "endpoints": [],
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean_and_a_start_brings_the_deployment_back(
    start: Start, config_with_own_tls: Config, number: signal.Signals
) -> None:
    config = config_with_own_tls
    process = start()
    with Wire(config) as wire:
        pid = deploy(wire, config)
        assert score(wire).json()["output"] == "still here"
        key = wire("POST", "onlineEndpoints/lasting/listKeys").json()
        process.send_signal(number)
        assert process.wait(60) == 0
        assert not Path("/proc", pid).exists()
    start()
    with Wire(config) as wire:
        assert wire("POST", "onlineEndpoints/lasting/listKeys").json() == key
        succeeded(wire)
        eventually(lambda: score(wire).status_code == 200)
        assert serving_pid(config) != pid


def test_a_killed_emulator_takes_its_processes_along_and_goes_on_from_its_state(
    start: Start, config_with_own_tls: Config
) -> None:
    config = config_with_own_tls
    process = start()
    with Wire(config) as wire:
        pid = deploy(wire, config)
        process.kill()
        process.wait()
        eventually(lambda: not Path("/proc", pid).exists())
    start()
    with Wire(config) as wire:
        eventually(lambda: score(wire).status_code == 200)
        assert score(wire).json()["output"] == "still here"


def test_a_deployment_that_was_under_way_at_the_kill_succeeds_after_the_restart(
    start: Start, config_with_own_tls: Config, tmp_path: Path
) -> None:
    process, loaded = start(), tmp_path / "loaded"
    with Wire(config_with_own_tls) as wire:
        made = begin_to_deploy(wire, "slow", {"answer.txt": b"late", "until.txt": str(loaded).encode()})
        operation = made.headers["Azure-AsyncOperation"]
        assert wire("GET", operation).json()["status"] == "Updating"
        process.kill()
        process.wait()
    start()
    with Wire(config_with_own_tls) as wire:
        assert wire("GET", operation).json()["status"] == "Updating"
        loaded.touch()
        eventually(lambda: wire("GET", operation).json()["status"] == "Succeeded")
        succeeded(wire)


def test_more_requests_than_the_limit_are_turned_away(
    start: Start, config_with_own_tls: Config, tmp_path: Path
) -> None:
    start()
    enough = tmp_path / "enough"
    with Wire(config_with_own_tls) as wire:
        deploy(wire, config_with_own_tls, requestSettings={"requestTimeout": "PT1M30S"})
        key = wire("POST", "onlineEndpoints/lasting/listKeys").json()["primaryKey"]
        uri = wire("GET", "onlineEndpoints/lasting").json()["properties"]["scoringUri"]
        statuses: list[int] = []

        def ask() -> None:
            headers = {"Authorization": f"Bearer {key}"}
            verify = str(config_with_own_tls.tls.ca_bundle)
            asked = {"until": str(enough)}
            statuses.append(requests.post(uri, json=asked, headers=headers, verify=verify, timeout=90).status_code)

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: len(statuses) == 3)
        finally:
            enough.touch()
        for thread in threads:
            thread.join()
    # Two per instance and concurrent request: 2 x 1 x 1.
    assert sorted(statuses) == [200, 200, 429, 429, 429]


def test_a_token_needs_the_identity_header(start: Start, config_with_own_tls: Config) -> None:
    start()
    url = f"http://127.0.0.1:{config_with_own_tls.identity_port}/msi/token"
    query = {"api-version": "2019-08-01", "resource": "https://ml.azure.com"}
    assert requests.get(url, params=query, timeout=10).status_code == 401
    assert requests.get(url, params=query, headers={"X-IDENTITY-HEADER": "guess"}, timeout=10).status_code == 401


def test_a_port_in_use_is_said_and_ends_the_start(start: Start, config_with_own_tls: Config) -> None:
    start()
    second = subprocess.run(
        command(config_with_own_tls), cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 1
    assert f"port {config_with_own_tls.port} of 127.0.0.1 could not be opened" in second.stderr
