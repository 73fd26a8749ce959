"""What `advance` costs: calls to Azure per step, from a job's event to a registered model, 200 runs in one timer tick.

The app with its real SDKs against the emulator with the simulated engine and Azurite, all on this machine. Calls are
counted where every SDK's requests pass: urllib3's log.
"""

from __future__ import annotations

import json
import logging
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.azureml.store import Store
from local.azurite import Azurite, Ports
from local.stack import create_infrastructure

ACTIVE_RUNS, WITHIN_S, EVENT_WITHIN_S = 200, 20.0, 2.0
WORKERS = (8, 16, 32)
NEEDED: dict[str, tuple[tuple[str, int, str], ...]] = {
    "received": (),
    "preparing": (),
    "prepared": (
        ("model in the registry", 2, "label latest to a version, then its tags"),
        ("component in the registry", 2, "label latest to a version, then its inputs"),
        ("VM sizes", 1, "GPUs per node"),
        ("job", 2, "is it there; PUT"),
    ),
    "training": (("job", 1, "its status"),),
    "trained": (
        ("run history", 6, "the steps of the job, and of each step, which may be a pipeline itself"),
        ("MLflow", 6, "last metrics of the job and of its five steps"),
        ("model version", 2, "is it there; PUT"),
    ),
    "registered": (),
    "deploying": (
        ("endpoint", 4, "PUT; is it there, is it ready: once at each of three looks"),
        ("deployment", 3, "PUT; is it there, is it up: once at each of two looks"),
        ("model version", 1, "its id"),
    ),
    "verifying": (
        ("endpoint", 4, "its traffic at each of two looks; PUT replaces all of it, so it is read just before"),
        ("keys", 1, "for the smoke test"),
        ("scoring", 1, "the questions; as many as there are held-out rows"),
    ),
}
"""Calls to Azure ML that a step cannot do without, when every look comes when there is something to see."""
EXTRA = re.compile(r" (token|operation|workspace)$|/deployments$")
"""What the SDK asks for by itself: tokens, the operations behind PUTs, the workspace, an endpoint's deployments."""
_STORAGE = "/devstoreaccount1"
_MOVED = re.compile(r"run %s: %s -> %s")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{20,}|bot\d+-\d{14}-[0-9a-f]{8}(-r\d+)?|bot\d+-[0-9a-f]{8}|oe:.*|od:.*")


class Calls(logging.Handler):
    """Counts requests by the state of the run that they were made in, and notes when a state was reached."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.state = "received"
        self.made: dict[str, Counter[str]] = {}
        self.reached: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args
        if record.name == "shared.runs.lifecycle" and _MOVED.match(str(record.msg)) and isinstance(arguments, tuple):
            self.state = str(arguments[2])
            self.reached[str(arguments[2])] = time.perf_counter()
        elif record.name == "urllib3.connectionpool" and isinstance(arguments, tuple) and len(arguments) > 6:
            path = str(arguments[4]).partition("?")[0]
            self.made.setdefault(self.state, Counter())[f"{arguments[3]} {_template(path)}"] += 1


def _template(path: str) -> str:
    if path.startswith(_STORAGE):
        return "storage"
    if path.startswith("/msi"):
        return "token"
    if "OperationsStatus" in path or "OperationResults" in path:
        return "operation"
    path = path.replace("//", "/")
    short = re.sub(r".*/(workspaces/finetune-local|registries/azureml|locations/\w+)", "", path)
    return _ID.sub("*", short) or "workspace"


def measure() -> dict[str, Any]:
    """Measure all of it."""
    with _app() as app:
        calls = Calls()
        for name, level in (("urllib3.connectionpool", logging.DEBUG), ("shared.runs.lifecycle", logging.INFO)):
            logger = logging.getLogger(name)
            logger.setLevel(level)
            logger.propagate = False
            logger.addHandler(calls)
        app.one_live()  # once unmeasured: what is loaded at first use
        one = _one_life(app, calls)
        events = [_event_to_registered(app, calls) for _ in range(7)]
        logging.getLogger("urllib3.connectionpool").setLevel(logging.WARNING)
        return {
            "calls": one,
            "event_to_registered_s": {
                "median": round(statistics.median(events), 2),
                "most": round(max(events), 2),
                "wanted": EVENT_WITHIN_S,
            },
            "tick": _ticks(app),
            "load": round(os.getloadavg()[0], 1),
            "cores": os.cpu_count(),
        }


@contextmanager
def _app() -> Iterator[Any]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import azure.ai.ml.entities
    from azure.storage.blob import BlobServiceClient

    from shared.services import wire
    from shared.settings import Settings
    from tests.functional.app.cloud import Cloud
    from tests.functional.app.driving import App, Clock
    from tests.functional.azureml_emulator.core.driver import Wire
    from tests.functional.conftest import free_port

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        with Azurite(place / "azurite", Ports(free_port(), free_port(), free_port())) as azurite:
            create_infrastructure(azurite.connection_string)
            cloud = Cloud(place / "cloud", azurite, engine="simulated")
            cloud.start()
            try:
                chosen = {"MAX_ACTIVE_RUNS": "1000", "MAX_LIVE_ENDPOINTS": "1000", "EVALUATE": "false"}
                variables = cloud.app_environment(**chosen)
                os.environ.update(variables, AZUREML_CURRENT_CLOUD="AzureCloud")
                clock = Clock()
                services = wire(Settings.load(variables), now=clock)
                with (
                    Wire(cloud.config) as azure,
                    BlobServiceClient.from_connection_string(azurite.connection_string) as storage,
                ):
                    yield App(services, clock, cloud, azure, storage)
            finally:
                cloud.stop()


def _one_life(app: Any, calls: Calls) -> dict[str, Any]:
    """Let one run live, looked at only when there is something to see; return the calls of each state."""
    calls.made.clear()
    calls.state = "received"
    run = app.received()
    calls.made.clear()
    for _ in range(30):
        run = app.advance(run)
        if run.state == "live":
            break
        quiet = dict(calls.made)
        _settle(app, run)
        calls.made = quiet
    assert run.state == "live", (run.state, run.failure, run.waiting_for)
    return {state: dict(sorted(made.items())) for state, made in calls.made.items()}


def _settle(app: Any, run: Any) -> None:
    """Wait until Azure has done what the run waits for. Asks the emulator's files, not its front door."""
    store = Store(app.cloud.state_dir / "azureml" / "state.db")
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            job = store.get("job", run.job_name or "")
            deployments = [doc for key, doc in store.list("deployment", f"{run.endpoint}/")]
            busy_job = job is not None and job["status"] not in ("Completed", "Failed")
            if not busy_job and all(doc["phase"] != "Updating" for doc in deployments):
                time.sleep(0.2)
                return
            time.sleep(0.05)
    finally:
        store.close()


def _event_to_registered(app: Any, calls: Calls) -> float:
    """Let a job's completion arrive as an event; return the seconds until its model is registered."""
    run = app.advance(app.received())
    _settle(app, run)
    began = time.perf_counter()
    app.advance(run)
    return calls.reached["registered"] - began


def _ticks(app: Any) -> list[dict[str, Any]]:
    """Measure one timer tick over many runs: all only looked at, then all moved on from training to deploying."""
    from shared.runs import lifecycle

    pattern = app.run(app.advance(app.received()))
    _settle(app, pattern)
    found = []
    number = 0
    for what, status in (("looked at", "Running"), ("moved on to deploying", "Completed")):
        for workers in WORKERS:
            number += 1
            ids = _multiply(app, pattern, number, status)
            lifecycle.WORKERS = workers  # type: ignore[misc]
            began, cpu = time.perf_counter(), time.process_time()
            lifecycle.advance_all(app.services, trigger="timer")
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
            runs = [app.services.store.get(run_id) for run_id in ids]
            good = sum(run.state == ("training" if status == "Running" else "deploying") for run in runs)
            found.append(
                {"what": what, "runs": len(ids), "workers": workers, "seconds": round(took, 1)}
                | {"cpu_s": round(cpu, 1), "as_expected": good, "wanted": WITHIN_S}
            )
            _forget(app)
    return found


def _multiply(app: Any, pattern: Any, number: int, status: str) -> list[str]:
    """Make many runs that train, and their jobs, from one: the rows of the app and the documents of the emulator."""
    import msgspec

    from shared.runs.record import Run

    text = msgspec.json.encode(pattern).decode()
    folder = app.cloud.state_dir / "azureml" / "jobs"
    store = Store(app.cloud.state_dir / "azureml" / "state.db")
    ids = []
    try:
        job = json.dumps({**(store.get("job", pattern.id) or {}), "status": status, "changes": []})
        for i in range(ACTIVE_RUNS):
            project = f"many{number}x{i:03d}"
            run_id = f"{project}-{pattern.id.split('-', 1)[1][:15]}{number * 1000 + i:08x}"
            run = msgspec.json.decode(
                text.replace(pattern.id, run_id).replace(f'"{pattern.project}"', f'"{project}"'), type=Run
            )
            app.services.store.create(run, f"{run_id}-version", None)
            store.put("job", run_id, json.loads(job.replace(pattern.id, run_id)))
            (folder / run_id).symlink_to(folder / pattern.id)
            ids.append(run_id)
    finally:
        store.close()
    return ids


def _forget(app: Any) -> None:
    table = app.services.store.table
    for row in list(table.list_entities(select=["PartitionKey", "RowKey"])):
        table.delete_entity(row)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
