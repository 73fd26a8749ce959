"""Keeps one process per deployment: what is recorded as wanted runs, and nothing else does.

A loop compares the store with the processes, as a container orchestrator would. So a restarted emulator brings its
deployments back, a deleted one ends, and a crashed one is started again, all by the same rule.
"""

import logging
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from local.azureml import faults, operations
from local.azureml.deployments import logs, state, wire
from local.azureml.deployments.store import KIND
from local.azureml.models.state import local_folder
from local.azureml.services import Services
from local.azureml.simulated import ENGINE as SIMULATED
from local.azureml.simulated.serving import SimulatedServing
from local.lifeline import tied
from local.ports import KeptPort

_LOG = logging.getLogger(__name__)
_REPOSITORY = Path(__file__).resolve().parents[3]
_INTERVAL_S = 0.1
_PROBE_TIMEOUT_S = 2.0
_GRACE_S = 5.0
_MAX_PAUSE_S = 30.0
# A deployment that is deleted answers first what it was asked before: between choosing it and asking it lies a moment.
_LINGER_S = 0.5
_DRAIN_S = 90.0


@dataclass
class _Running:
    process: subprocess.Popen[bytes] | SimulatedServing
    place: KeptPort
    birth: tuple[str, int]
    log_start: int
    since: float = field(default_factory=time.monotonic)
    ready: bool = False


class DeploymentSupervisor:
    def __init__(self, services: Services) -> None:
        self._services = services
        self.is_busy: Callable[[str], bool] = lambda _: False
        """Tells whether a deployment has requests to answer; the front door, which is made later, says so."""
        self._leaving: dict[str, float] = {}
        self._running: dict[str, _Running] = {}
        self._wanted: dict[str, dict[str, Any]] = {}
        self._changes = -1
        self._pauses: dict[str, tuple[float, float]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="deployments")
        self._probe = httpx.Client(timeout=_PROBE_TIMEOUT_S, trust_env=False)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End every process and wait for them. They stay wanted: the next start brings them back."""
        self._stopping.set()
        self._thread.join()
        _end(list(self._running.values()))
        self._running.clear()
        self._probe.close()

    def port(self, key: str) -> int | None:
        """Answer the port of a deployment's process, or None while it cannot answer."""
        running = self._running.get(key)
        return running.place.number if running is not None and running.ready else None

    def _loop(self) -> None:
        while not self._stopping.wait(_INTERVAL_S):
            try:
                self._reconcile()
            except Exception:  # noqa: BLE001 - one bad deployment must not end all the others
                _LOG.exception("deployments could not be reconciled")

    def _reconcile(self) -> None:
        wanted = self._read_wanted()
        unwanted = [key for key, run in self._running.items() if not _matches(run, wanted.get(key))]
        _end([self._running.pop(key) for key in unwanted if key in wanted or self._has_answered(key)])
        self._leaving = {key: since for key, since in self._leaving.items() if key in self._running.keys() - wanted}
        for key in self._pauses.keys() - wanted.keys():
            del self._pauses[key]
        for key, doc in wanted.items():
            running = self._running.get(key)
            if running is None:
                self._start(key, doc)
            elif running.process.poll() is not None:
                self._ended(key, doc, running)
            elif not running.ready:
                self._await(key, doc, running)
            elif doc["phase"] == "Updating":
                self._succeed(key, doc)

    def _has_answered(self, key: str) -> bool:
        """Tell whether a deployment that was deleted has nothing left to answer."""
        waited = time.monotonic() - self._leaving.setdefault(key, time.monotonic())
        return waited > _DRAIN_S or (waited > _LINGER_S and not self.is_busy(key))

    def _read_wanted(self) -> dict[str, dict[str, Any]]:
        """Answer the deployments that are to run; reads them only when some deployment has changed."""
        changes = self._services.store.changes(KIND)
        if changes != self._changes:
            self._wanted = {key: doc for key, doc in self._services.store.list(KIND) if state.wants_process(doc)}
            self._changes = changes
        return self._wanted

    def _start(self, key: str, doc: dict[str, Any]) -> None:
        if time.monotonic() < self._pauses.get(key, (0.0, 0.0))[0]:
            return
        if doc["phase"] == "Updating" and self._fails_on_request(key, doc):
            return
        try:
            folder = local_folder(self._services, doc["properties"]["model"])
        except OSError as error:
            self._fail(key, doc, str(error))
            return
        place = KeptPort()
        _LOG.info("deployment %s: starting on port %d", key, place.number)
        log_start = logs.size(self._services.config.state_dir, doc)
        try:
            self._running[key] = _Running(self._spawn(doc, folder, place.number), place, _birth(doc), log_start)
        except OSError as error:
            place.release()
            self._fail(key, doc, f"its process could not be started: {error}")

    def _fails_on_request(self, key: str, doc: dict[str, Any]) -> bool:
        """Fail a deployment that is to fail; one that never ends is only not started, and is asked for again."""
        size = str(doc["properties"]["instanceType"])
        fault = faults.deployment_failure(self._services.config.state_dir, key, size, doc["operation"])
        if fault is not None and fault.message:
            self._fail(key, doc, fault.message)
        return fault is not None

    def _spawn(self, doc: dict[str, Any], folder: Path, port: int) -> subprocess.Popen[bytes] | SimulatedServing:
        if self._services.config.engine == SIMULATED:
            return SimulatedServing(folder, port)
        log = logs.path(self._services.config.state_dir, doc)
        log.parent.mkdir(parents=True, exist_ok=True)
        command = tied(
            str(self._services.config.ml_python), "-m", "local.serving", "--model-dir", str(folder), "--port", str(port)
        )
        environment = {
            **os.environ,
            "TMPDIR": str(_new_scratch(log)),
            **(doc["properties"].get("environmentVariables") or {}),
        }
        with log.open("ab") as output:
            # A session of its own: a Ctrl-C at the terminal reaches the emulator, which then ends it in order.
            return subprocess.Popen(
                command,
                cwd=_REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _await(self, key: str, doc: dict[str, Any], running: _Running) -> None:
        try:
            running.ready = self._probe.get(f"http://127.0.0.1:{running.place.number}/").status_code == 200
        except httpx.HTTPError:
            running.ready = False
        if running.ready:
            self._pauses.pop(key, None)
            self._succeed(key, doc)
        elif time.monotonic() - running.since > state.patience_s(doc["properties"]):
            _end([self._running.pop(key)])
            self._fail(key, doc, "Liveness probe failed: the container did not answer in time")

    def _ended(self, key: str, doc: dict[str, Any], running: _Running) -> None:
        del self._running[key]
        running.place.release()
        code = running.process.returncode
        said = (
            logs.last_line(self._services.config.state_dir, doc, running.log_start) or f"it ended with exit code {code}"
        )
        if doc["phase"] == "Updating":
            self._fail(key, doc, said)
            return
        pause = min(self._pauses.get(key, (0.0, 0.5))[1] * 2, _MAX_PAUSE_S)
        self._pauses[key] = (time.monotonic() + pause, pause)
        _LOG.warning("deployment %s: ended with exit code %s, again in %.0f s", key, code, pause)

    def _succeed(self, key: str, doc: dict[str, Any]) -> None:
        if doc["phase"] != "Updating":
            return
        _LOG.info("deployment %s: Succeeded", key)
        self._move(key, doc, state.succeeded)
        operations.finish(self._services, doc["operation"])

    def _fail(self, key: str, doc: dict[str, Any], message: str) -> None:
        _LOG.warning("deployment %s: Failed: %s", key, message)
        self._move(key, doc, lambda old: state.failed(old, message))
        operations.finish(self._services, doc["operation"], wire.crashed(message))

    def _move(self, key: str, doc: dict[str, Any], change: Any) -> None:
        # Someone may have deleted or replaced it meanwhile: then this news is about the past.
        def move(now: dict[str, Any]) -> dict[str, Any]:
            moved: dict[str, Any] = change(now) if now["operation"] == doc["operation"] else now
            return moved

        self._services.store.update(KIND, key, move)


def _new_scratch(log: Path) -> Path:
    """Make an empty folder for a process's temporary files, without those of one that was killed."""
    scratch = log.with_suffix(".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return scratch


def _matches(running: _Running, doc: dict[str, Any] | None) -> bool:
    return doc is not None and _birth(doc) == running.birth


def _birth(doc: dict[str, Any]) -> tuple[str, int]:
    """Answer what a process belongs to: one of the same name that was deleted and made anew is another one."""
    return doc["created"], doc["revision"]


def _end(runnings: list[_Running]) -> None:
    """Ask the processes to end, and kill those that have not within the grace period."""
    for running in runnings:
        _signal(running.process, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    for running in runnings:
        try:
            running.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(running.process, signal.SIGKILL)
            running.process.wait()
        running.place.release()


def _signal(process: subprocess.Popen[bytes] | SimulatedServing, number: int) -> None:
    if isinstance(process, SimulatedServing):
        process.terminate()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
