"""Storms side by side: each driver is a process with a local Azure of its own, so that every core has something to do.

A timer tick is one Python process at work; a single storm would leave half of a small machine idle.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from azure.data.tables import TableClient
from azure.storage.blob import BlobServiceClient

from local import environment
from local.azurite import Azurite, Ports
from local.lifeline import end_with_parent
from local.stack import RUNS_TABLE, create_infrastructure
from tests.faults.hosts import FORK
from tests.faults.outside import breaches
from tests.faults.post_office import PostOffice
from tests.faults.storm import Place, Storm
from tests.functional.app.cloud import Cloud
from tests.functional.azureml_emulator.core.driver import Wire
from tests.functional.conftest import free_port

SETTINGS = {
    "RUN_LEASE": "3m",
    "MAX_ACTIVE_RUNS": "100",
    "MAX_LIVE_ENDPOINTS": "100",
    "IDLE_AFTER": "9h",
    "EVALUATE": "false",  # the evaluating node would be run for real
}
RUNS_PER_KILL = 5


@dataclass(frozen=True)
class Result:
    """What became of a storm. breaches: what is not as it must be, in words."""

    seed: int
    runs: int
    killed: int
    seconds: float
    breaches: Sequence[str]


class Driver:
    """A process that lets one storm after the other rage."""

    def __init__(self, seeds: Sequence[int], count: int, folder: Path) -> None:
        self.seeds = seeds
        self._results: dict[int, Result] = {}
        self._inbox, theirs = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=_drive, args=(theirs, seeds, count, folder))
        self._process.start()
        theirs.close()

    def result(self, seed: int) -> Result:
        """Wait for a storm. Raises: EOFError: the driver has ended without it."""
        while seed not in self._results:
            result: Result = self._inbox.recv()
            self._results[result.seed] = result
        return self._results[seed]

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self._inbox.close()


def _drive(outbox: Connection, seeds: Sequence[int], count: int, folder: Path) -> None:
    end_with_parent()
    with _place(folder) as place:
        for seed in seeds:
            outbox.send(_rage(place, seed, count))
            _clear(place)


def _rage(place: Place, seed: int, count: int) -> Result:
    began = time.monotonic()
    storm = Storm(place, seed, count, max(1, count // RUNS_PER_KILL), SETTINGS)
    try:
        runs = storm.rage()
        with Wire(place.cloud.config) as wire:
            found = breaches(storm, runs, wire)
    except Exception:  # noqa: BLE001 - told by the test that waits for it
        found = [traceback.format_exc(), f"Azurite said: {place.azurite.log.read_text()[-2000:]}"]
    return Result(seed, count, storm.killed.total(), time.monotonic() - began, found)


@contextmanager
def _place(folder: Path) -> Iterator[Place]:
    ports, post = Ports(free_port(), free_port(), free_port()), free_port()
    with Azurite(folder / "azurite", ports) as azurite:
        create_infrastructure(azurite.connection_string)
        cloud = Cloud(folder / "cloud", azurite, engine="simulated", eventgrid=f"https://127.0.0.1:{post}")
        post_office = PostOffice(post, cloud.config.tls)
        cloud.start()
        _take_environment(cloud)
        with (
            BlobServiceClient.from_connection_string(azurite.connection_string) as storage,
            TableClient.from_connection_string(azurite.connection_string, RUNS_TABLE) as table,
        ):
            place = Place(azurite, cloud, storage, table, post_office, folder / "hosts.log")
            try:
                yield place
            finally:
                place.kill_hosts()
        cloud.stop()
        post_office.close()


def _take_environment(cloud: Cloud) -> None:
    """Have the environment of a Functions app: the hosts inherit it, and the identity and TLS clients read it."""
    for variable in os.environ.keys() - environment.base_environment().keys():
        del os.environ[variable]
    os.environ.update(cloud.app_environment(), AZUREML_CURRENT_CLOUD="AzureCloud")
    bundle = str(cloud.config.tls.ca_bundle)
    os.environ.update(dict.fromkeys(("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"), bundle))


def _clear(place: Place) -> None:
    """Leave nothing running, no run to look at, and no dataset: without its run it would be a missed upload."""
    place.cloud.kill_jobs_and_endpoints()
    datasets = place.storage.get_container_client("datasets")
    for name in datasets.list_blob_names():
        datasets.delete_blob(name)
    for row in place.table.list_entities(select=["PartitionKey", "RowKey"]):
        place.table.delete_entity(row)
