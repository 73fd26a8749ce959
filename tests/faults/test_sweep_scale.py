"""A thousand endpoints: a sweep of them is quick, asks Azure little, needs little memory, and may be cut off.

They are copies of one that a run really made: its rows in the emulator and in the runs' table, under other names.
"""

import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from azure.storage.blob import BlobServiceClient

from local import environment
from local.azureml.metrics import state as metrics
from local.azureml.store import Store
from local.azurite import Azurite, Ports
from local.clock import Clock, advance
from local.stack import create_infrastructure
from shared import services as shared_services
from shared.identity import credential
from shared.runs.rows import NEVER, entity_of
from shared.services import Services, wire
from shared.settings import Settings
from shared.sweeps.records import SweepReport
from shared.sweeps.sweep import sweep
from tests.functional.app import driving
from tests.functional.app.cloud import Cloud
from tests.functional.app.driving import App
from tests.functional.azureml_emulator.core.driver import Wire
from tests.functional.conftest import free_port

ENDPOINTS, IDLE = 1000, 30
WITHIN_S, GROWTH_MB, CALLS_EACH = 60, 100, 1.2
pytestmark = pytest.mark.load


@dataclass
class Far:
    """The app, days later: one clock for it and for the emulator."""

    app: App
    names: list[str]
    traveller: time_machine.Traveller

    def pass_time(self, **span: float) -> None:
        advance(self.app.cloud.state_dir, timedelta(**span), time_machine.escape_hatch.time.time)
        self.traveller.shift(timedelta(**span))
        self.app.azure.login()


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("scale")
    with (
        Azurite(folder / "azurite", Ports(free_port(), free_port(), free_port())) as azurite,
        pytest.MonkeyPatch.context() as patch,
    ):
        create_infrastructure(azurite.connection_string)
        cloud = Cloud(folder, azurite, engine="simulated")
        chosen = cloud.app_environment(IDLE_WARN_FOR="0s")
        for variable in os.environ.keys() - environment.base_environment().keys():
            patch.delenv(variable)
        for variable, value in {**chosen, "AZUREML_CURRENT_CLOUD": "AzureCloud"}.items():
            patch.setenv(variable, value)
        _forget()
        cloud.start()
        clock = driving.Clock()
        with (
            Wire(cloud.config) as azure,
            BlobServiceClient.from_connection_string(azurite.connection_string) as blobs,
            time_machine.travel(Clock(cloud.state_dir).now(), tick=True) as traveller,
        ):
            app = App(wire(Settings.load(chosen), now=clock), clock, cloud, azure, blobs)
            yield Far(app, multiply(app), traveller)
        cloud.stop()
        _forget()


def _forget() -> None:
    credential.cache_clear()
    shared_services.services.cache_clear()


def multiply(app: App) -> list[str]:
    """Bring one run to life and copy it."""
    run = app.one_live()
    rows = {"endpoint": str(run.endpoint).lower(), "deployment": f"{str(run.endpoint).lower()}/{run.deployment}"}
    names = [f"copy-{number:04}" for number in range(ENDPOINTS - 1)]
    store = Store(app.cloud.state_dir / "azureml" / "state.db")
    try:
        docs = {kind: store.get(kind, key) for kind, key in rows.items()}
        assert all(docs.values())
        for name in names:
            run_id = _run_of(run.id, name)
            for kind, key in (("endpoint", name), ("deployment", f"{name}/{run.deployment}")):
                doc = {**(docs[kind] or {}), "tags": {"finetune.run": run_id}}
                store.insert(kind, key, doc | ({"name": name} if kind == "endpoint" else {"endpoint": name}))
    finally:
        store.close()
    for begin in range(0, len(names), 50):
        app.services.store.table.submit_transaction(
            [("create", entity_of(_copy(run, name), owner="", lease_until=NEVER)) for name in names[begin : begin + 50]]
        )
    return [str(run.endpoint), *names]


def _run_of(run_id: str, name: str) -> str:
    return f"{run_id.rpartition('-')[0]}-{int(name[5:]) + 0x10000000:08x}"


def _copy(run: driving.Run, name: str) -> driving.Run:
    import msgspec

    copy = msgspec.json.decode(msgspec.json.encode(run), type=driving.Run)
    copy.id, copy.endpoint, copy.outbox = _run_of(run.id, name), name, []
    return copy


def use(far: Far, names: list[str]) -> None:
    """Let strangers ask endpoints, a minute ago: as the emulator counts it."""
    minute = (far.app.services.now() - timedelta(minutes=1)).replace(second=0, microsecond=0).isoformat()
    store = Store(far.app.cloud.state_dir / "azureml" / "state.db")
    try:
        for name in names:
            store.insert("requests", f"{name.lower()}|{minute}|blue|200|200", metrics.count_request(None, 12.0, 1))
    finally:
        store.close()


@contextmanager
def counted(port: int) -> Iterator[Counter[str]]:
    """Count the requests to Azure, without those to storage, where every SDK's pass: urllib3's log."""
    calls: Counter[str] = Counter()
    line = re.compile(rf"https://127\.0\.0\.1:{port} \"(\S+) (\S+)")

    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if found := line.match(record.getMessage()):
                path = re.sub(r"(onlineEndpoints)/[^/?]+", r"\1/*", found[2].partition("?")[0])
                calls[f"{found[1]} {path.partition('workspaces/')[2].partition('/')[2] or path}"] += 1

    log, handler = logging.getLogger("urllib3.connectionpool"), Counting()
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield calls
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


def memory_mb() -> float:
    """Return the most memory that this process ever had."""
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    return int(peak[1]) / 1024


def timed(services: Services) -> tuple[SweepReport, float]:
    begin = time.monotonic()
    report = sweep(services, trigger="test")
    return report, time.monotonic() - begin


def test_a_thousand_endpoints_are_looked_at_in_a_minute_with_one_call_each(far: Far) -> None:
    far.pass_time(hours=9)
    use(far, far.names)
    sweep(replace(far.app.services), trigger="warm", dry_run=True)  # everything is loaded, as in the second sweep
    before = memory_mb()
    with counted(far.app.cloud.config.port) as calls:
        begin = time.process_time()
        report, seconds = timed(far.app.services)
        worked = time.process_time() - begin
    grown = memory_mb() - before
    each = (calls.total() - calls["GET onlineEndpoints"]) / ENDPOINTS  # without paging
    print(
        f"\n{report.looked_at} looked at in {seconds:.1f} s, {worked:.1f} s at work, {calls.total()} calls, "
        f"{each:.3f} for each endpoint, "
        f"{dict(calls.most_common(8))}, memory grown by {grown:.0f} MB"
    )
    assert (report.looked_at, report.idle, report.errors, report.complete) == (ENDPOINTS, 0, 0, True)
    assert worked < WITHIN_S  # what else the machine does takes time, too; a sweep that takes minutes is not complete
    assert each <= CALLS_EACH
    assert grown < GROWTH_MB


def test_a_sweep_that_is_cut_off_is_finished_by_the_next_one(far: Far) -> None:
    far.pass_time(hours=9)
    idle = far.names[-IDLE:]
    use(far, far.names[:-IDLE])
    cut_off = sweep(far.app.services, trigger="test", within=timedelta(seconds=0.1))
    assert not cut_off.complete
    assert 0 < cut_off.looked_at < ENDPOINTS
    assert cut_off.looked_at + len(cut_off.not_reached) == ENDPOINTS
    rest, seconds = timed(far.app.services)
    print(f"\n{cut_off.looked_at} looked at, cut off; then {rest.acted} of {IDLE} removed in {seconds:.1f} s")
    assert rest.complete
    assert [one.name for one in rest.endpoints[:1]] == cut_off.not_reached[:1]
    removed = {one.name for report in (cut_off, rest) for one in report.endpoints if one.action == "removed"}
    assert removed == set(idle)


def test_throttling_for_a_while_changes_only_the_time(far: Far) -> None:
    use(far, far.names)
    far.app.cloud.faults(requests=[{"path": "onlineEndpoints|metrics", "status": 429, "seconds": 15}])
    report, seconds = timed(far.app.services)
    far.app.cloud.faults()
    print(f"\n{report.looked_at} looked at in {seconds:.1f} s, throttled for 15 s of it")
    assert (report.errors, report.complete) == (0, True)
    assert {one.code for one in report.endpoints} <= {"in_use", "young", "changed"}
