"""A job as the store holds it, a clock that stands still, and a workspace that has what a job needs."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.azureml import catalog
from local.azureml.http import AzureError
from local.azureml.jobs.plan import STEPS
from local.azureml.jobs.state import Job, Step, step_run_id

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


_RECORDED = Path(__file__).parents[4] / "recorded"


@pytest.fixture
def recorded() -> Callable[[str], Any]:
    """Read the body that Azure answered in a recorded exchange."""
    return lambda name: json.loads((_RECORDED / f"{name}.json").read_text())["response"]["body"]


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def make_job() -> Callable[..., Job]:
    def make(**changes: Any) -> Job:
        steps = tuple(Step(node, component, version, step_run_id("j1", node)) for node, component, version in STEPS)
        values: dict[str, Any] = {
            "name": "j1",
            "number": 1,
            "run_uuid": "376b5c92-0202-454c-a773-08fd21409dca",
            "created_at": NOW.isoformat(),
            "entered_at": NOW.isoformat(),
            "request": {"displayName": "a job", "outputs": {"trained_model": {"jobOutputType": "mlflow_model"}}},
            "node": "node",
            "inputs": {"compute_finetune": "serverless"},
            "files": {},
            "outputs": {"trained_model": "mlflow_model_folder"},
            "requested_model": "Phi-4",
            "experiment_id": "e1",
            "experiment_name": "bot",
            "steps": steps,
            "tags": {"team": "support"},
        }
        return Job(**{**values, **changes})

    return make


class StubWorkspace:
    """Has the catalog's component, any model and blob, and one compute: gpu."""

    def component(self, registry: str, name: str, version: str) -> Mapping[str, Any]:
        spec = catalog.component(name, version) if registry == "azureml" else None
        if spec is None:
            raise AzureError(404, "NotFound", f"Not found component {name}")
        return spec

    def model_name(self, uri: str) -> str:
        return uri.split("/")[-3]

    def blob(self, uri: str) -> tuple[str, str]:
        return "prepared", uri.rpartition("/paths/")[2]

    def check_compute(self, name: str) -> None:
        if name != "gpu":
            raise AzureError(404, "NotFound", f"Unknown compute target '{name}'")


@pytest.fixture
def workspace() -> StubWorkspace:
    return StubWorkspace()
