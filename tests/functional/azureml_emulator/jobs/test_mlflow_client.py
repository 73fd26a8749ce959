"""The real mlflow-skinny, in the interpreter that jobs run in, against the emulator's tracking server."""

import json
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient

from local import names
from local.azureml.identity import issue
from local.azureml.server import Emulator
from local.azureml.services import Config

ROOT = Path(__file__).parents[4]
ML_PYTHON = os.environ.get("LOCAL_ML_PYTHON") or str(ROOT / ".venv-ml" / "bin" / "python")
STORY = Path(__file__).parent / "mlflow_story.py"
WaitFor = Callable[..., str]


@pytest.fixture(scope="module")
def job_name(submit: Callable[..., str], wait_for: WaitFor) -> str:
    name = submit(metrics=True)
    wait_for(name)
    return name


@pytest.fixture(scope="module")
def finetune_run(client: MLClient, job_name: str) -> str:
    children = {child.display_name: child.name for child in client.jobs.list(parent_job_name=job_name)}
    return children["chat_completion_finetune"]


def tracking(config: Config, version: str) -> str:
    return f"{config.base_url}/mlflow/{version}{names.WORKSPACE_ID}"


@pytest.fixture(scope="module", params=["v1.0", "v2.0"])
def seen(request: Any, emulator: Emulator, job_name: str, finetune_run: str) -> dict[str, Any]:
    """What the client saw, by either version of the tracking URI."""
    config = emulator.services.config
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": tracking(config, request.param),
        "MLFLOW_TRACKING_TOKEN": issue(emulator.services, "https://ml.azure.com"),
        "REQUESTS_CA_BUNDLE": str(config.tls.ca_bundle),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    done = subprocess.run(
        [ML_PYTHON, STORY, finetune_run, job_name, "bot"], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return result


def test_metrics_are_read_back_in_order(seen: dict[str, Any]) -> None:
    assert (seen["eval_loss"][0], seen["eval_loss"][-1]) == ([0, 2.5], [10, 0.5])
    assert seen["history"][0] == 3.0
    assert seen["run"]["data"]["metrics"]["eval_loss"] == 0.5
    assert math.isclose(seen["run"]["data"]["metrics"]["loss"], 0.51)
    assert math.isnan(seen["run"]["data"]["metrics"]["grad_norm"])


def test_run_of_a_step_keeps_the_jobs_status_and_takes_tags_and_parameters(seen: dict[str, Any], job_name: str) -> None:
    data = seen["run"]["data"]
    assert data["params"] == {"learning_rate": "0.001", "lora_r": "16"}
    assert data["tags"]["note"] == "it's"
    assert "stage" not in data["tags"]
    assert data["tags"]["mlflow.rootRunId"] == data["tags"]["mlflow.parentRunId"] == job_name
    assert seen["run"]["info"]["status"] == "FINISHED"


def test_runs_of_a_job_are_found_by_root_and_by_parent(seen: dict[str, Any]) -> None:
    assert len(seen["by_root"]) == 6
    assert "chat_completion_finetune" in seen["by_root"]
    assert seen["by_parent"] == ["chat_completion_finetune"]


def test_refusals_have_mlflows_codes(seen: dict[str, Any]) -> None:
    assert seen["refused_param"] == "INVALID_PARAMETER_VALUE"
    assert seen["refused_run"] == "RESOURCE_DOES_NOT_EXIST"


def test_clients_own_run_and_its_child_are_kept(seen: dict[str, Any]) -> None:
    assert seen["own_run"] == {"status": "FINISHED", "root_is_parent": True, "params": {"a": "1", "b": "two"}}


def test_search_comes_in_pages(seen: dict[str, Any]) -> None:
    assert seen["pages"][:-1] == [3] * (len(seen["pages"]) - 1)
    assert sum(seen["pages"]) >= 8


def test_metrics_logged_by_the_process_belong_to_its_step(emulator: Emulator, finetune_run: str) -> None:
    config = emulator.services.config
    with requests.Session() as session:
        session.verify = str(config.tls.ca_bundle)
        url = f"{tracking(config, 'v2.0')}/api/2.0/mlflow/metrics/get-history"
        query = {"run_id": finetune_run, "metric_key": "loss", "max_results": "2"}
        assert session.get(url, params=query).status_code == 401
        session.headers["Authorization"] = f"Bearer {issue(emulator.services, 'https://ml.azure.com')}"
        first = session.get(url, params=query).json()
        assert len(first["metrics"]) == 2
        assert {"key", "value", "timestamp", "step"} == first["metrics"][0].keys()
        second = session.get(url, params={**query, "page_token": first["next_page_token"]}).json()
        assert second["metrics"][0]["step"] >= first["metrics"][-1]["step"]
