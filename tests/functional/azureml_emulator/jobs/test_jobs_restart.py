"""An emulator that is stopped or killed in the middle of a job, and started again over the same state."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from azure.ai.ml import MLClient

from local.azureml.jobs.process import JobProcess
from local.azureml.services import Config
from tests.functional.azureml_emulator.jobs.command_jobs import COPY, NODE, Commands

Submit = Callable[..., str]
WaitFor = Callable[..., str]


class EmulatorProcess:
    """The emulator as `python -m local.azureml`: it can be killed."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        config = self.config
        options = {
            "--port": config.port,
            "--identity-port": config.identity_port,
            "--state-dir": config.state_dir,
            "--cache-dir": config.cache_dir,
            "--storage": config.storage,
            "--engine": config.engine,
            "--ml-python": config.ml_python,
            "--eventgrid": config.eventgrid,
            "--speed": config.speed,
        }
        arguments = [str(part) for pair in options.items() for part in pair]
        self._process = subprocess.Popen([sys.executable, "-m", "local.azureml", *arguments])
        deadline = time.monotonic() + 90
        while not self._answers():
            assert time.monotonic() < deadline and self._process.poll() is None, "the emulator did not start"
            time.sleep(0.1)

    def stop(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=60)

    def job_file(self, name: str, file: str) -> Path:
        return self.config.state_dir / "azureml" / "jobs" / name / file

    def starts(self, name: str) -> list[str]:
        """What the stand-in noted of itself: start, and end."""
        file = self.job_file(name, "starts.txt")
        return file.read_text().split() if file.exists() else []

    def wait_for(self, name: str, word: str) -> None:
        deadline = time.monotonic() + 120
        while word not in self.starts(name):
            assert time.monotonic() < deadline, f"{name}: {self.starts(name)}"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            url = f"{self.config.base_url}/local/health"
            return requests.get(url, verify=str(self.config.tls.ca_bundle), timeout=2).ok
        except (requests.ConnectionError, requests.Timeout):
            return False


@pytest.fixture(scope="module")
def emulator(job_config: Config) -> Iterator[EmulatorProcess]:
    # The certificates are made by the emulator itself, in its state directory: they must be the client's too.
    (job_config.state_dir).mkdir(parents=True)
    (job_config.state_dir / "tls").symlink_to(job_config.tls.cert.parent)
    process = EmulatorProcess(job_config)
    process.start()
    yield process
    assert process.stop(signal.SIGTERM) == 0


@contextmanager
def down(emulator: EmulatorProcess, number: signal.Signals) -> Iterator[int]:
    code = emulator.stop(number)
    yield code
    emulator.start()


def process_of(emulator: EmulatorProcess, name: str) -> int:
    return int(json.loads(emulator.job_file(name, "process.json").read_text())["pid"])


def lives(emulator: EmulatorProcess, name: str) -> bool:
    """By the lock it holds: in a container nobody may reap an orphan, whose id then seems to live on."""
    return JobProcess.find(emulator.job_file(name, "")) is not None


def test_job_that_lived_on_is_found_again_and_not_started_twice(
    emulator: EmulatorProcess, submit: Submit, wait_for: WaitFor, tmp_path: Path
) -> None:
    name = submit(until=str(tmp_path / "found"))
    emulator.wait_for(name, "start")
    with down(emulator, signal.SIGKILL):
        assert lives(emulator, name)
    (tmp_path / "found").touch()
    assert wait_for(name) == "Completed"
    assert emulator.starts(name) == ["start", "end"]


def test_job_that_ended_meanwhile_is_judged_by_its_reports(
    emulator: EmulatorProcess, submit: Submit, wait_for: WaitFor, tmp_path: Path
) -> None:
    name = submit(until=str(tmp_path / "killed"))
    emulator.wait_for(name, "start")
    with down(emulator, signal.SIGKILL):
        (tmp_path / "killed").touch()
        emulator.wait_for(name, "end")
    assert wait_for(name) == "Completed"
    assert emulator.starts(name) == ["start", "end"]


def test_job_whose_process_vanished_is_started_again_and_completes_once(
    emulator: EmulatorProcess, client: MLClient, submit: Submit, wait_for: WaitFor, event_grid: object
) -> None:
    name = submit(seconds=60, once=True, metrics=True)
    emulator.wait_for(name, "start")
    with down(emulator, signal.SIGKILL):
        os.killpg(process_of(emulator, name), signal.SIGKILL)
    assert wait_for(name) == "Completed"
    assert emulator.starts(name) == ["start", "start", "end"]
    told = event_grid.wait_for(name, "RunCompleted", "completed")  # type: ignore[attr-defined]
    assert told.count("RunCompleted") == told.count("completed") == 1
    statuses = {child.status for child in client.jobs.list(parent_job_name=name)}
    assert statuses == {"Completed"}


def test_stop_ends_the_process_and_the_next_start_goes_on(
    emulator: EmulatorProcess, submit: Submit, wait_for: WaitFor
) -> None:
    running, waiting = submit(seconds=60, once=True), submit()
    emulator.wait_for(running, "start")
    wait_for(waiting, "Queued")
    with down(emulator, signal.SIGTERM) as code:
        assert code == 0
        assert not lives(emulator, running)
    assert (wait_for(running), wait_for(waiting)) == ("Completed", "Completed")
    assert emulator.starts(running) == ["start", "start", "end"]
    assert emulator.starts(waiting) == ["start", "end"]


def test_cancel_reaches_a_process_of_the_emulator_before(
    emulator: EmulatorProcess, client: MLClient, submit: Submit, wait_for: WaitFor
) -> None:
    name = submit(seconds=60)
    emulator.wait_for(name, "start")
    with down(emulator, signal.SIGKILL):
        pass
    client.jobs.begin_cancel(name).wait(timeout=20)
    assert wait_for(name) == "Canceled"
    assert not lives(emulator, name)


def test_command_that_was_interrupted_runs_again_and_the_training_once(
    emulator: EmulatorProcess, commands: Commands, wait_for: WaitFor
) -> None:
    began = "echo begun >> ../began.txt"
    name = commands.submit(f"{began}; [ $(wc -l < ../began.txt) -gt 1 ] || sleep 60; {COPY}")
    began_file = emulator.job_file(name, f"nodes/{NODE}/began.txt")
    deadline = time.monotonic() + 120
    while not began_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with down(emulator, signal.SIGKILL):
        folder = emulator.job_file(name, f"nodes/{NODE}")
        while JobProcess.find(folder) is not None:  # it ends with the emulator
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert wait_for(name) == "Completed"
    assert began_file.read_text().split() == ["begun", "begun"]
    assert emulator.starts(name) == ["start", "end"]


def test_command_that_is_done_is_not_run_again_when_the_training_was_interrupted(
    emulator: EmulatorProcess, commands: Commands, wait_for: WaitFor
) -> None:
    name = commands.submit(f"echo begun >> ../began.txt; {COPY}", seconds=60, once=True)
    emulator.wait_for(name, "start")
    with down(emulator, signal.SIGTERM):
        pass
    assert wait_for(name) == "Completed"
    assert emulator.job_file(name, f"nodes/{NODE}/began.txt").read_text().split() == ["begun"]
    assert emulator.starts(name) == ["start", "start", "end"]
