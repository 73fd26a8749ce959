"""Azurite as a child process: keeps its data, ends with its parent, says why it does not start."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from local.azurite import Azurite, AzuriteError, Ports
from tests.functional.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]
SUPERVISOR = """
import sys, time
from pathlib import Path
from local.azurite import Azurite, Ports
azurite = Azurite(Path(sys.argv[1]), Ports(*map(int, sys.argv[2:])))
azurite.start()
print(azurite.pid, flush=True)
time.sleep(60)
"""


def three_ports():
    return Ports(free_port(), free_port(), free_port())


def test_data_survives_a_stop(tmp_path):
    ports = three_ports()
    for _ in range(2):
        with (
            Azurite(tmp_path, ports) as azurite,
            BlobServiceClient.from_connection_string(azurite.connection_string) as client,
        ):
            container = client.get_container_client("kept")
            if container.exists():
                assert container.download_blob("a").readall() == b"1"
                return
            container.create_container()
            container.upload_blob("a", b"1")
    raise AssertionError("the container was forgotten")


def test_it_ends_when_its_supervisor_is_killed(tmp_path):
    ports = three_ports()
    arguments = [str(tmp_path), str(ports.blob), str(ports.queue), str(ports.table)]
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, *arguments], cwd=ROOT, stdout=subprocess.PIPE)
    with supervisor:
        pid = int(supervisor.stdout.readline())
        supervisor.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}/cmdline").exists() and b"azurite" in Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_taken_port_is_reported(tmp_path, azurite):
    ports = Ports(azurite.ports.blob, free_port(), free_port())
    with pytest.raises(AzuriteError, match=r"EADDRINUSE|ended"):
        Azurite(tmp_path, ports).start()


def test_a_missing_installation_says_what_to_do(tmp_path):
    with pytest.raises(AzuriteError, match="npm ci"):
        Azurite(tmp_path, three_ports(), tmp_path / "azurite").start()


def test_it_has_a_session_of_its_own(azurite):
    assert os.getsid(azurite.pid) != os.getsid(0)
