"""Carries one job from wherever it stands to its end.

What is decided stands in the store before it is acted on, and `state` decides. So a carrier that is killed anywhere
can be followed by another: a process still alive is found again, one that ended is judged by its reports, and one that
vanished is started again.
"""

import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.azureml import faults
from local.azureml.jobs import inputs, records, state
from local.azureml.jobs.inputs import InputError
from local.azureml.jobs.process import JobProcess
from local.azureml.jobs.state import Job
from local.azureml.mlflow.state import forget_logged
from local.azureml.services import Services
from local.azureml.simulated import ENGINE as SIMULATED
from local.azureml.simulated.training import SimulatedTraining
from local.clock import clock_of

# How long a status lasts that is the service's own doing, before `--speed` divides it. Recorded: some seconds.
_SERVICE_PAUSE = timedelta(seconds=10)
_POLL_S = 0.1


class Turns:
    """Who may run: those that asked first, one at a time as on a cluster of one node; everybody else is queued."""

    def __init__(self, places: int = 1) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._names: list[str] = []

    def ask(self, name: str) -> None:
        with self._lock:
            if name not in self._names:
                self._names.append(name)

    def leave(self, name: str) -> None:
        with self._lock:
            if name in self._names:
                self._names.remove(name)

    def has(self, name: str) -> bool:
        with self._lock:
            return name in self._names[: self._places]


class JobCarrier:
    """One job in the hands of one thread. `stopping` makes it let go: the job stays as it is, its process is ended."""

    def __init__(self, services: Services, name: str, turns: Turns, stopping: threading.Event) -> None:
        self._services = services
        self._name = name
        self._turns = turns
        self._stopping = stopping
        self._folder = state.job_dir(services, name)
        self._pause = _SERVICE_PAUSE / services.config.speed
        self._process: JobProcess | SimulatedTraining | None = None

    def carry(self) -> None:
        try:
            self._to_its_end()
        except _StoppingError:
            self._end_process()
        except _CancelRequestedError:
            self._end_process()
            records.move(self._services, self._name, state.canceled)
        except InputError as fault:
            self._fail("UserError", str(fault))
        except _GivenUpError as fault:
            self._fail("ServiceError", str(fault))
        except Exception as fault:  # noqa: BLE001 - a job must end with a reason, whatever the fault
            traceback.print_exc()
            self._end_process()
            self._fail("ServiceError", f"The local emulator failed: {fault}")
        finally:
            self._turns.leave(self._name)

    def _to_its_end(self) -> None:
        self._check()
        if self._is("NotStarted"):
            self._rest()
            self._enter("Preparing")
        if self._is("Preparing"):
            if self._job().current_command is None:
                inputs.prepare(self._services, self._job())
            self._rest()
            self._enter("Queued")
        if self._is("Queued", "Running"):
            self._wait_for_turn()
            outcome = self._run()
            if outcome.code is not None:
                self._fail(outcome.code, outcome.message)
                return
            self._enter("Finalizing")
        if self._is("Finalizing"):
            self._rest()
            self._enter("Completed")

    def _wait_for_turn(self) -> None:
        self._turns.ask(self._name)
        while not self._turns.has(self._name):
            self._wait()

    def _run(self) -> state.Outcome:
        """Have the processes run, one phase after the other, until something tells how the last one ended."""
        while True:
            outcome = self._run_phase()
            if outcome.code is not None or self._job().in_last_phase:
                return outcome
            self._process = None
            self._move(state.next_phase)

    def _run_phase(self) -> state.Outcome:
        while (outcome := self._outcome()) is None:
            self._process = JobProcess.find(self._phase_folder()) or self._start()
            self._follow(self._process)
        return outcome

    def _outcome(self) -> state.Outcome | None:
        if self._job().attempt == 0:
            return None
        folder = self._phase_folder()
        process = self._process or JobProcess.find(folder) or JobProcess.of_old(folder)
        self._take_in(process)
        if process.alive():
            return None
        return state.outcome(self._job(), process.exit_code, process.last_words())

    def _start(self) -> JobProcess | SimulatedTraining:
        job = self._job()
        if job.attempt >= state.MAX_ATTEMPTS:
            raise _GivenUpError(f"The job was interrupted {job.attempt} times and is given up.")
        command = job.current_command
        if command is not None:
            inputs.prepare_command(self._services, job)
        elif job.attempt or job.command:
            # Only now are the command node's results there.
            inputs.prepare(self._services, job)
        if job.attempt:
            for run_id in (job.name, *(step.run_id for step in job.phase_steps)):
                forget_logged(self._services.store, run_id)
        tags = inputs.honest_tags(self._services.config.engine, job)
        self._move(lambda job, now: state.begin_attempt(job, now, tags))
        if command is not None:
            return JobProcess.start(self._phase_folder(), Path(sys.executable), "local.azureml.jobs.command")
        if self._services.config.engine == SIMULATED:
            return SimulatedTraining(self._services, self._folder)
        return JobProcess.start(self._phase_folder(), self._services.config.ml_python)

    def _phase_folder(self) -> Path:
        job = self._job()
        return inputs.command_dir(self._services, job) if job.current_command is not None else self._folder

    def _follow(self, process: JobProcess | SimulatedTraining) -> None:
        while process.alive():
            self._take_in(process)
            if self._is_preempted():
                self._lose_node(process)
                return
            self._wait()

    def _is_preempted(self) -> bool:
        job = self._job()
        running = [step.name for step in job.phase_steps if step.status == "Running"]
        return faults.is_preempted(self._services.config.state_dir, job.name, job.attempt, running)

    def _lose_node(self, process: JobProcess | SimulatedTraining) -> None:
        """End what runs, and wait for another node behind those who wait already."""
        process.terminate()
        process.forget_reports()
        self._process = None
        self._turns.leave(self._name)
        self._move(state.preempted)
        self._rest()
        self._wait_for_turn()

    def _take_in(self, process: JobProcess | SimulatedTraining) -> None:
        for report in process.new_reports():
            self._move(_reported(self._on_our_clock(report)))

    def _on_our_clock(self, report: dict[str, Any]) -> dict[str, Any]:
        """Return a report with the emulator's time: a job's process knows the machine's only."""
        clock = clock_of(self._services.config.state_dir)
        if not clock.ahead or "time" not in report:
            return report
        told = datetime.fromisoformat(report["time"]).timestamp()
        return {**report, "time": datetime.fromtimestamp(clock.at(told), UTC).isoformat()}

    def _end_process(self) -> None:
        process = self._process or JobProcess.find(self._phase_folder())
        if process is not None:
            process.terminate()

    def _fail(self, code: str, message: str) -> None:
        records.move(self._services, self._name, lambda job, now: state.failed(job, code, message, now))

    def _enter(self, status: str) -> None:
        self._move(lambda job, now: state.enter(job, status, now))

    def _move(self, fn: records.Move) -> None:
        """Move the job, unless somebody wants it to end: that is looked at in the same transaction."""

        def unless_unwanted(job: Job, now: datetime) -> Job:
            if job.status == "CancelRequested":
                raise _CancelRequestedError
            return fn(job, now)

        records.move(self._services, self._name, unless_unwanted)

    def _rest(self) -> None:
        """Let the service's own time pass."""
        while not state.rested(self._job(), self._services.now(), self._pause):
            self._wait(min(_POLL_S, self._pause.total_seconds()))

    def _wait(self, seconds: float = _POLL_S) -> None:
        self._stopping.wait(seconds)
        self._check()

    def _check(self) -> None:
        if self._stopping.is_set():
            raise _StoppingError
        if self._is("CancelRequested"):
            raise _CancelRequestedError

    def _is(self, *statuses: str) -> bool:
        return self._job().status in statuses

    def _job(self) -> Job:
        return records.get(self._services, self._name)


class _StoppingError(Exception):
    """The emulator stops."""


class _CancelRequestedError(Exception):
    """Somebody wants the job to end."""


class _GivenUpError(Exception):
    """The job was interrupted too often."""


def _reported(report: dict[str, object]) -> Callable[[Job, datetime], Job]:
    return lambda job, now: state.step_reported(job, report, now)
