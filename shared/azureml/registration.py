"""Registering what a job trained, with its lineage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.azureml.client import AzureML
from shared.azureml.pipeline import OUTPUT, tags
from shared.azureml.trouble import understood
from shared.errors import ResourceGoneError
from shared.runs.record import Run


@dataclass(frozen=True)
class RegisteredModel:
    """A model version of the workspace; id is its ARM id."""

    name: str
    version: str
    id: str


def find_model(azureml: AzureML, name: str, version: str) -> RegisteredModel | None:
    """Return a model version, None when it is not registered."""
    try:
        with understood(f"looking up model {name}:{version}"):
            model = azureml.workspace.models.get(name, version=version)
    except ResourceGoneError:
        return None
    return RegisteredModel(str(model.name), str(model.version), str(model.id))


def register(azureml: AzureML, run: Run, name: str, version: str) -> RegisteredModel:
    """Register the job's output as an MLflow model under its fixed name and version.

    Idempotency: name and version; a version that is there is returned as it is, because versions are immutable.
    """
    existing = find_model(azureml, name, version)
    if existing is not None:
        return existing
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
    return RegisteredModel(str(created.name), str(created.version), str(created.id))


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
