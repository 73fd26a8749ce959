"""A thousand files are dropped at once: two jobs at a time, the others wait for their turn, oldest first and fair.

Most of the datasets cannot be used, so that their runs end in a moment and a long line moves; the others are trained on
by jobs that fail at once. What is measured is printed: pytest -s.
"""

import os
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from azure.storage.blob import BlobServiceClient

from functions.dataset_uploaded import dataset_uploaded
from functions.timers import advance_runs
from local import environment
from local.azurite import Azurite, Ports
from local.stack import create_infrastructure
from shared import services as shared_services
from shared.identity import credential
from shared.runs import actions, admission, ledger
from shared.runs.record import Run
from shared.runs.states import MOVING
from shared.services import Services, services, wire
from shared.settings import Settings
from tests.functional.app.cloud import Cloud
from tests.functional.app.driving import App, Clock, conversations
from tests.functional.azureml_emulator.core.driver import Wire
from tests.functional.conftest import free_port

FILES, PROJECTS, MOST = 1000, 20, 2
GOOD_ONE_IN = 25
ENDED_ENOUGH = int(os.environ.get("THOUSAND_FILES_ENDED", "40"))
DELIVERIES = 4
"""The host hands over four blobs at a time: host.json, maxDegreeOfParallelism."""
LONGEST_TRIGGER_S = 30
MEMORY_GROWTH_MB = 40

pytestmark = pytest.mark.load


@dataclass
class Measured:
    """What is seen while the files are worked on. Durations in seconds."""

    deliveries: list[float] = field(default_factory=list)
    ticks: list[float] = field(default_factory=list)
    most_under_way: int = 0
    most_jobs: int = 0

    def timed(self, durations: list[float], call: Callable[[], object]) -> None:
        begin = time.monotonic()
        call()
        durations.append(time.monotonic() - begin)


@pytest.fixture
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The app over an Azure of its own, with two runs at a time."""
    folder = tmp_path_factory.mktemp("thousand")
    with (
        Azurite(folder / "azurite", Ports(free_port(), free_port(), free_port())) as azurite,
        pytest.MonkeyPatch.context() as patch,
    ):
        create_infrastructure(azurite.connection_string)
        cloud = Cloud(folder, azurite)
        chosen = cloud.app_environment(MAX_ACTIVE_RUNS=str(MOST))
        for variable in os.environ.keys() - environment.base_environment().keys():
            patch.delenv(variable)
        for variable, value in {**chosen, "AZUREML_CURRENT_CLOUD": "AzureCloud"}.items():
            patch.setenv(variable, value)
        _forget()
        cloud.start()
        clock = Clock()
        with Wire(cloud.config) as azure, BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
            yield App(wire(Settings.load(chosen), now=clock), clock, cloud, azure, blobs)
        cloud.stop()
        _forget()


def _forget() -> None:
    credential.cache_clear()
    shared_services.services.cache_clear()


def test_a_thousand_files_dropped_at_once_never_become_more_than_two_jobs(app: App) -> None:
    seen = Measured()
    blockers = block_all_places(app)
    names = drop(app)
    with watching(app, seen):
        deliver(app, names, seen)
        line = admission.places(services())
        assert len(line) == FILES
        app.cloud.stub()
        app.cloud.faults(job={"step": "chat_completion_finetune", "code": "UserError", "message": "No."})
        for run in blockers:
            actions.cancel(services(), run.id)
        seen.timed(seen.ticks, lambda: advance_runs(None))
        before = memory_mb()  # now that everything is loaded which the steps need
        drain(seen)
        grown = memory_mb() - before
    runs = [run for run in everyone(services()) if run.id not in {blocker.id for blocker in blockers}]
    begun = [run for run in runs if len(run.history) > 1]
    print(
        f"\n{len(runs)} received, {len(begun)} begun, {Counter(run.state.value for run in runs)}; "
        f"most under way {seen.most_under_way}, most jobs {seen.most_jobs}; "
        f"deliveries: {len(seen.deliveries)}, longest {max(seen.deliveries):.2f} s, all {sum(seen.deliveries):.0f} s; "
        f"ticks: {len(seen.ticks)}, longest {max(seen.ticks):.2f} s, all {sum(seen.ticks):.0f} s; "
        f"memory {before:.0f} MB, grown by {grown:.1f} MB"
    )
    assert len(runs) == FILES
    assert seen.most_under_way <= MOST
    assert seen.most_jobs <= MOST
    assert_never_more_than_two_at_once(runs)
    assert_oldest_first_and_fair(begun, list(line))
    assert max(seen.deliveries + seen.ticks) < LONGEST_TRIGGER_S
    assert grown < MEMORY_GROWTH_MB


def block_all_places(app: App) -> list[Run]:
    """Let as many runs train as there are places, so that the line does not move while the files arrive."""
    app.cloud.stub(seconds=600)
    return [app.until(app.received(), "training") for _ in range(MOST)]


def drop(app: App) -> list[str]:
    """Upload the files. One in so many is a dataset; all others are rejected when they are read."""
    good = conversations()
    names = [f"project{at % PROJECTS:02}/{at // PROJECTS:02}.jsonl" for at in range(FILES)]

    def upload(at: int) -> None:
        app.blob(names[at]).upload_blob(good + b"\n" * at if is_good(at) else f"no dataset {at}".encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upload, range(FILES)))
    return names


def is_good(at: int) -> bool:
    return at // PROJECTS % GOOD_ONE_IN == at % GOOD_ONE_IN


def deliver(app: App, names: Sequence[str], seen: Measured) -> None:
    """Tell the app of every file, four at a time, as the host does."""
    with ThreadPoolExecutor(DELIVERIES) as pool:
        list(pool.map(lambda name: seen.timed(seen.deliveries, lambda: dataset_uploaded(app.blob(name))), names))


def drain(seen: Measured) -> None:
    """Let the timer tick until enough runs have ended."""
    deadline = time.monotonic() + 600
    while len(admission.places(services())) > FILES - ENDED_ENOUGH:
        assert time.monotonic() < deadline
        seen.timed(seen.ticks, lambda: advance_runs(None))


class watching:  # noqa: N801 - reads as what it does
    """Counts, all the time, the runs under way and the jobs that have not ended."""

    def __init__(self, app: App, seen: Measured) -> None:
        self._app, self._seen, self._over = app, seen, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with Wire(self._app.cloud.config) as azure:
            while not self._over.wait(0.5):
                jobs = azure("GET", "jobs").json()["value"]
                statuses = [job["properties"]["status"] for job in jobs if not job["properties"].get("parentJobName")]
                open_jobs = sum(status not in ("Completed", "Failed", "Canceled") for status in statuses)
                self._seen.most_jobs = max(self._seen.most_jobs, open_jobs)
                under_way = len(ledger.under_way(self._app.services.store))
                self._seen.most_under_way = max(self._seen.most_under_way, under_way)


def everyone(app: Services) -> list[Run]:
    runs: list[Run] = []
    token = None
    while True:
        page = app.store.page(state=None, project=None, size=500, token=token)
        runs += page.runs
        if (token := page.next_token) is None:
            return runs


def assert_never_more_than_two_at_once(runs: Sequence[Run]) -> None:
    """By what the histories say: a run is under way from its first step to its end."""
    changes = []
    for run in runs:
        if len(run.history) > 1:
            changes.append((run.history[1].at, 1))
            if run.state not in MOVING:
                changes.append((run.history[-1].at, -1))
    at_once = most = 0
    for _, change in sorted(changes):
        at_once += change
        most = max(most, at_once)
    assert most <= MOST


def assert_oldest_first_and_fair(begun: Sequence[Run], line: Sequence[str]) -> None:
    """Each project's runs began in the order in which they stood in line; of two that began together, either may be
    first. How the projects take turns depends on whose runs train just then: none gets more turns than another."""
    in_line = {run_id: at for at, run_id in enumerate(line)}
    for project in {run.project for run in begun}:
        ours = [run for run in begun if run.project == project]
        order = [run.id for run in sorted(ours, key=lambda run: run.history[1].at)]
        place = {run_id: at for at, run_id in enumerate(sorted(order, key=in_line.__getitem__))}
        assert max(abs(place[run_id] - at) for at, run_id in enumerate(order)) < MOST
    turns = Counter(run.project for run in begun)
    assert max(turns.values()) - min(turns.values()) <= MOST


def memory_mb() -> float:
    """Return this process's memory as it is now."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6
