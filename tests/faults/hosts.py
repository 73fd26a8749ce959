"""Functions hosts as processes that can be killed: forked from one that has the SDKs loaded, so that one costs nothing.

A host plays what the app's triggers do, with the clock of the test, and answers what came of it. It does one thing at a
time; several of them are the instances of one app.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import logging
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from local.lifeline import end_with_parent
from shared.errors import FinetuneError, LeaseLostError, RunBusyError, RunNotFoundError, SweepBusyError
from shared.identity import credential
from shared.runs import actions, reception
from shared.runs.lifecycle import advance, advance_all
from shared.runs.names import run_id_of_job
from shared.runs.store import RunStore
from shared.services import Services, wire
from shared.settings import Settings
from shared.sweeps import by_hand
from shared.sweeps.sweep import sweep
from tests.functional.app.mortal import Mortal

FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Task:
    """Something that comes to the app: what, about what; and after how many ticks of its life the host dies at it."""

    what: str
    about: str = ""
    dies_after: int | None = None


@dataclass(frozen=True)
class Answer:
    """What came of a task: "done"; "refused" with the error's type and words; "broken" with a traceback."""

    outcome: str
    error: str = ""
    message: str = ""


class SharedClock:
    """The real time, put forward in all processes at once."""

    def __init__(self) -> None:
        self._offset = FORK.RawValue("d", 0.0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._offset.value)

    def forward(self, seconds: float) -> None:
        self._offset.value += seconds

    def reset(self) -> None:
        self._offset.value = 0.0


@dataclass
class Host:
    """One host, seen from outside."""

    process: Any
    connection: Connection
    task: Task | None = None
    dies_at: float | None = None
    """When it is to be killed from outside; monotonic seconds."""
    began: float = field(default_factory=time.monotonic)

    @property
    def is_idle(self) -> bool:
        return self.task is None

    def give(self, task: Task) -> None:
        self.task, self.began, self.dies_at = task, time.monotonic(), None
        self.connection.send(task)

    def answer(self) -> Answer | None:
        """Return what came of the task, None while it is at work. Raises: EOFError: the host is dead."""
        if self.connection.poll():
            try:
                answer: Answer = self.connection.recv()
            except (EOFError, ConnectionResetError) as dead:
                raise EOFError from dead
            return answer
        if not self.process.is_alive() and not self.connection.poll():
            raise EOFError
        return None

    def kill(self) -> None:
        """kill -9: nothing of it goes on."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.bury()

    def bury(self) -> None:
        self.process.join()
        self.connection.close()


def load() -> None:
    """Load what a host would load at its first use of it; every host then has it from the process it is forked from."""
    for name in (
        "azure.ai.ml.entities",
        "azure.ai.ml.dsl",
        "azure.identity",
        "azure.data.tables",
        "azure.storage.blob",
        "shared.dataset.page",
    ):
        importlib.import_module(name)
    for name in ("_dynamic", "_component_func", "_overrides_definition"):
        importlib.import_module(f"azure.ai.ml.dsl.{name}")
    gc.collect()
    gc.freeze()  # a million objects of the SDK, which no host then looks through again and again


def start(environment: Mapping[str, str], clock: SharedClock, log: Path) -> Host:
    """Fork a host. The process that calls this must have no threads and must have loaded what the app needs."""
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=_live, args=(theirs, environment, clock, log), daemon=True)
    process.start()
    theirs.close()
    return Host(process, ours)


def _live(connection: Connection, environment: Mapping[str, str], clock: SharedClock, log: Path) -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with log.open("ab") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    logging.disable(logging.CRITICAL)
    os.environ["PATH"] = ""  # where the app runs there is no git, which the SDK calls at every submit if it finds it
    faulthandler.register(signal.SIGUSR1, file=2)  # what a host is at that does not answer
    credential.cache_clear()
    services = wire(Settings.load(environment), now=clock)
    with contextlib.suppress(EOFError):
        while True:
            connection.send(_do(services, connection.recv()))
    os._exit(0)


def _do(services: Services, task: Task) -> Answer:
    if task.dies_after is not None:
        services = _mortal(services, task.dies_after)
    try:
        _TRIGGERS[task.what](services, task.about)
    except FinetuneError as refusal:
        return Answer("refused", type(refusal).__name__, str(refusal))
    except Exception as fault:  # noqa: BLE001 - the host lives on; the test says that a trigger broke
        return Answer("broken", type(fault).__name__, traceback.format_exc())
    return Answer("done")


def _uploaded(services: Services, name: str) -> None:
    blob = services.blobs.describe("datasets", name)
    for run_id in reception.receive_upload(services, blob, trigger="blob") if blob else []:
        with contextlib.suppress(RunBusyError, LeaseLostError):
            advance(services, run_id, trigger="blob")


def _job_changed(services: Services, job: str) -> None:
    run_id = run_id_of_job(job)
    if run_id is not None:
        with contextlib.suppress(RunNotFoundError, RunBusyError, LeaseLostError):
            advance(services, run_id, trigger="job-event")


def _minute(services: Services, _: str) -> None:
    advance_all(services, trigger="timer")


def _quarter(services: Services, _: str) -> None:
    try:
        with contextlib.suppress(SweepBusyError):  # as the timer does
            sweep(services, trigger="timer")
    finally:
        reception.receive_missed(services)


def _cancel(services: Services, run_id: str) -> None:
    actions.cancel(services, run_id)


def _retry(services: Services, run_id: str) -> None:
    actions.retry(services, run_id)


def _remove(services: Services, endpoint: str) -> None:
    by_hand.remove_endpoint(services, endpoint, trigger="http", reason="removed by hand")


_TRIGGERS: Mapping[str, Callable[[Services, str], None]] = {
    "upload": _uploaded,
    "job": _job_changed,
    "minute": _minute,
    "quarter": _quarter,
    "cancel": _cancel,
    "retry": _retry,
    "remove": _remove,
}


class _Fate:
    """How much longer this process lives: every use of the clock, of storage and of Azure ML may be its last."""

    def __init__(self, ticks: int) -> None:
        self._left = ticks

    def tick(self) -> None:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _mortal(services: Services, ticks: int) -> Services:
    fate = _Fate(ticks)

    def now() -> datetime:
        fate.tick()
        return services.now()

    store = RunStore(services.settings.storage, now=now, lease=services.settings.run_lease)
    azureml, plane, blobs = (Mortal(part, fate) for part in (services.azureml, services.plane, services.blobs))
    return replace(services, store=store, blobs=blobs, azureml=azureml, plane=plane, now=now)
