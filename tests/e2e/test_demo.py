"""`make demo`, with the fast engine: the same story in less time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / ".local" / "demo-report.json"
STATES = [
    "received",
    "preparing",
    "prepared",
    "training",
    "trained",
    "registered",
    "deploying",
    "verifying",
    "live",
    "retired",
]


def test_the_story_is_told_to_its_end_and_reported() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local", "demo", "--engine", "fast"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(REPORT.read_text("utf-8"))
    assert [entry["state"] for entry in report["states"]] == STATES
    assert report["endpoint_removed"] is True
    assert report["eval_loss_after"] < report["eval_loss_before"]
    assert len(report["training_losses"]) > 5
    assert report["rows"]["rows_read"] == 87
    assert report["model"]["name"] == "SmolLM2-135M-Instruct-vendlebury"
    for key in ("run_id", "endpoint", "question", "base_answer", "tuned_answer", "answer_contains_fact"):
        assert key in report
    assert "Q: " in done.stdout
    assert "step " in done.stdout


def test_a_file_that_is_not_there_is_said() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local", "demo", "--engine", "fast", "--dataset", "nowhere.jsonl"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "there is no file nowhere.jsonl" in done.stderr
