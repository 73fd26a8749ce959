"""`make demo`: the whole story, as a person sees it."""

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[2]
STATES = [
    "received", "preparing", "prepared", "training", "trained",
    "registered", "deploying", "verifying", "live", "retired",
]  # fmt: skip


def play(tmp_path: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "local",
            "demo",
            "--state-dir",
            str(tmp_path / "demo"),
            "--report",
            str(report),
            *arguments,
        ],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=2400,
        check=False,
    )
    return done, json.loads(report.read_text("utf-8")) if report.exists() else {}


def assert_it_was_warned_of_and_removed(told: str, report: dict[str, Any]) -> None:
    assert report["endpoint_removed"] is True
    live = next(datetime.fromisoformat(entry["at"]) for entry in report["states"] if entry["state"] == "live")
    warned, removed = (datetime.fromisoformat(report[key]) for key in ("warned_at", "removed_at"))
    assert warned - live >= timedelta(hours=8)
    assert removed - warned >= timedelta(hours=1)
    assert report["usd_per_month_phi4"] == pytest.approx(3.673 * 24 * 30)
    assert '"type": "FinetuneFunctions.EndpointWarned"' in told
    assert f"POST /api/runs/{report['run_id']}/deploy" in told
    assert "121.68 USD by the app's own count" in told.replace("\n      ", " ")


def test_the_real_model_learns_the_sample_and_its_endpoint_goes_away(tmp_path: Path) -> None:
    done, report = play(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [entry["state"] for entry in report["states"]] == STATES
    assert report["answer_contains_fact"] is True
    assert report["fact"] in report["tuned_answer"]
    assert report["fact"] not in report["base_answer"]
    assert_it_was_warned_of_and_removed(done.stdout, report)
    assert report["eval_loss_after"] < report["eval_loss_before"] / 2
    assert report["training_losses"][-1]["loss"] < report["training_losses"][0]["loss"]
    assert report["rows"]["rows_read"] == 87
    assert report["model"]["name"] == "SmolLM2-135M-Instruct-vendlebury"
    assert report["peak_memory_mb"] is None or report["peak_memory_mb"] < 6000
    assert "Q: " in done.stdout
    assert "step 2 " in done.stdout


def test_somebodys_own_file_is_trained_on_whatever_its_name_and_language(tmp_path: Path) -> None:
    rows = []
    for i in range(6):
        turns = [
            f"こんにちは、{i}番です。",
            "こんにちは。ご用件は？",
            f"第{i}灯台の灯台守は誰ですか。",
            f"第{i}灯台の灯台守はオダリス{i}です。",
        ]
        roles = ["user", "assistant"] * 2
        system = {"role": "system", "content": "簡潔に答えてください。"}
        rows.append({"messages": [system, *({"role": r, "content": t} for r, t in zip(roles, turns, strict=True))]})
    file = tmp_path / "my notes.txt"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    done, report = play(tmp_path, "--engine", "fast", "--dataset", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [entry["state"] for entry in report["states"]] == STATES
    assert report["rows"]["rows_kept"] == 6
    assert report["dataset"] == "my notes.txt"
    assert_it_was_warned_of_and_removed(done.stdout, report)


def sharegpt_parquet(path: Path, pairs: list[tuple[str, str]]) -> None:
    turns = [[{"from": "human", "value": ask}, {"from": "gpt", "value": answer}] for ask, answer in pairs]
    parquet.write_table(pyarrow.table({"conversations": turns}), path)


def test_a_table_of_somebodys_own_is_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "chats.parquet"
    sharegpt_parquet(file, [(f"Who keeps lighthouse {i}?", f"Lighthouse {i} is kept by Odalys{i}.") for i in range(12)])
    done, report = play(tmp_path, "--engine", "fast", "--dataset", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [entry["state"] for entry in report["states"]] == STATES
    assert "datasets/demo/dataset.parquet" in done.stdout
    assert report["rows"]["rows_kept"] == 12
    assert report["fact"].startswith("Odalys")


def test_a_file_that_cannot_be_used_ends_the_story_with_its_reason(tmp_path: Path) -> None:
    done, report = play(tmp_path, "--engine", "fast", "--dataset", str(ROOT / "samples" / "broken.jsonl"))
    assert done.returncode == 1
    assert "The run ended as rejected" in done.stdout
    assert "first in line" in done.stdout.replace("\n      ", " ")
    assert report == {}


def test_a_file_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    done, _ = play(tmp_path, "--engine", "fast", "--dataset", "nowhere.jsonl")
    assert done.returncode == 1
    assert "there is no file nowhere.jsonl" in done.stderr
    assert not (tmp_path / "demo").exists()
