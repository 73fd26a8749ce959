"""Registering what a job trained, with its lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.azureml.client import AzureML
from shared.azureml.pipeline import OUTPUT, RUN_TAG, tags
from shared.azureml.trouble import understood
from shared.errors import RefusedByAzureError, ResourceGoneError
from shared.runs.record import Run


@dataclass(frozen=True)
class RegisteredModel:
    """A model version of the workspace; id is its ARM id."""

    name: str
    version: str
    id: str
    run_id: str | None


def find_model(azureml: AzureML, name: str, version: str) -> RegisteredModel | None:
    """Return a model version, None when it is not registered."""
    try:
        with understood(f"looking up model {name}:{version}"):
            model = azureml.workspace.models.get(name, version=version)
    except ResourceGoneError:
        return None
    return _registered(model)


def register(azureml: AzureML, run: Run, name: str, versions: Sequence[str]) -> RegisteredModel:
    """Register the job's output as an MLflow model under its fixed name and the first version that no other run has.

    Idempotency: name and version; a version that this run made is returned as it is, because versions are immutable.
    Raises: RefusedByAzureError: other runs have all the versions.
    """
    for version in versions:
        existing = find_model(azureml, name, version)
        if existing is None:
            return _register(azureml, run, name, version)
        if existing.run_id == run.id:
            return existing
    raise RefusedByAzureError(f"Model {name} has the versions {', '.join(versions)} already, made by others.")


def _register(azureml: AzureML, run: Run, name: str, version: str) -> RegisteredModel:
    from azure.ai.ml.constants import AssetTypes
    from azure.ai.ml.entities import Model

    assert run.plan is not None, "a trained run has a plan"
    model = Model(
        path=f"azureml://jobs/{run.job_name}/outputs/{OUTPUT}",
        type=AssetTypes.MLFLOW_MODEL,
        name=name,
        version=version,
        description=f"{run.plan.foundation_model} fine-tuned on {run.dataset.path}",
        tags=lineage(run, run.metrics),
    )
    with understood(f"registering model {name}:{version}"):
        created = azureml.workspace.models.create_or_update(model)
    return _registered(created)


def _registered(model: Any) -> RegisteredModel:
    return RegisteredModel(str(model.name), str(model.version), str(model.id), (model.tags or {}).get(RUN_TAG))


def lineage(run: Run, metrics: Mapping[str, float]) -> dict[str, str]:
    """Return the model's tags: where it came from and how good it is."""
    assert run.plan is not None, "a trained run has a plan"
    told = {f"metric.{name}": f"{metrics[name]:.6g}" for name in ("train_loss", "eval_loss") if name in metrics}
    return {
        **tags(run),
        "finetune.foundation_model": run.plan.foundation_model,
        "finetune.test_sha256": run.test_sha256 or "",
        **told,
    }
