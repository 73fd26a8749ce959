"""Faults of the whole local Azure, asked for from outside: the host is killed, events lie, and runs still go live."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.conftest import ROOT, Local
from tests.e2e.test_local_up import SAMPLES, upload

pytestmark = pytest.mark.e2e


def faults(local: Local, *arguments: str) -> str:
    command = [sys.executable, "-m", "local", "faults", "--state-dir", str(local.state_dir), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def used(local: Local) -> dict[str, int]:
    return {one["id"]: one["used"] for one in json.loads(faults(local, "list", "--json"))}


def told(local: Local) -> str:
    return str(local.command("events").stdout)


def run_of(local: Local, blob: str, *states: str) -> dict[str, Any]:
    def reached() -> dict[str, Any] | None:
        try:
            runs = local.get("runs")["value"]
        except requests.RequestException:  # the host is being started again
            return None
        return next((run for run in runs if run["dataset"]["blob"] == blob and run["state"] in states), None)

    return dict(local.wait(reached, 600))


def test_the_host_is_killed_around_requests_comes_back_and_the_run_goes_live_once(local: Local) -> None:
    data = (SAMPLES / "vendlebury.jsonl").read_bytes()
    host = local.host_pid()
    kills = [
        faults(local, "host", "--kill", "after", "--method", "PUT", "--path", "/jobs/[^/]+$"),
        faults(local, "host", "--kill", "before", "--method", "PUT", "--path", "/onlineEndpoints/[^/]+$"),
        faults(local, "host", "--kill", "after", "--method", "PUT", "--path", "/deployments/"),
    ]
    faults(local, "lost-completion")
    upload(local, "bot/a.jsonl", data)
    run = run_of(local, "bot/a.jsonl", "live", "failed", "rejected")
    assert run["state"] == "live"
    assert [used(local)[kill] for kill in kills] == [1, 1, 1]
    assert local.host_pid() not in (0, host)
    said = (local.state_dir.parent / "up.err").read_text()
    assert said.count("local: functions_host ended and was started again") >= 3
    log = (local.state_dir / "logs" / "azureml.log").read_text()
    assert log.count("the Functions host (process") == 3
    assert "Traceback" not in log
    local.wait(lambda: "-> live" in told(local), 60)  # told after it is so


def test_a_completion_before_the_submit_returned_and_doubled_events_change_nothing(local: Local) -> None:
    early = faults(local, "early-event")
    faults(local, "events", "--double")
    faults(local, "busy", "5s")
    upload(local, "bot/b.jsonl", (SAMPLES / "vendlebury.jsonl").read_bytes())
    run = run_of(local, "bot/b.jsonl", "live", "failed", "rejected")
    assert run["state"] == "live"
    assert used(local)[early] == 1
    assert len(local.get("runs")["value"]) == 1
    local.wait(lambda: "(again)" in told(local), 60)
    faults(local, "clear")
    assert faults(local, "list") == "local: no fault is asked for"
    assert "Traceback" not in (local.state_dir / "logs" / "azureml.log").read_text()
    assert Path(local.state_dir / "faults.json").read_text() == "{}"
