"""The step that measures what a job has trained: this app's own package as an Azure ML command component.

It comes behind the training in the same job and reads the trained model from there. The package comes as an input, a
ZIP archive beside the prepared data; see `preparation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.azureml.compute import SERVERLESS

NODE = "evaluate_model"
ENVIRONMENT = "azureml://registries/azureml/environments/acft-hf-nlp-gpu/labels/latest"
"""The curated environment of the component's own training step: torch, transformers, peft and MLflow, with a GPU.

Sources: Azure/azureml-assets, assets/training/finetune_acft_hf_nlp/components/finetune/chat_completion/spec.yaml
(`environment: azureml://registries/azureml/environments/acft-hf-nlp-gpu/versions/62`) and environments/acpt.
"""

_COMMAND = (
    "python -m zipfile -e '${{inputs.package}}' . && python -m shared.evaluation.step --job '${{inputs.job}}'"
    " --test '${{inputs.test}}' --base '${{inputs.base}}' --candidate '${{inputs.candidate}}'"
    " $[[--live '${{inputs.live}}']] $[[--live-run '${{inputs.live_run}}']] --out '${{outputs.results}}'"
)


@dataclass(frozen=True)
class EvaluationStep:
    """What the step reads and where its results go; paths within the prepared data's datastore.

    live_model: the id of the model that serves the project now, live_run: whose it is; None when there is none.
    """

    package: str
    results: str
    live_model: str | None = None
    live_run: str | None = None


def component() -> Any:
    """Build the SDK's command component. The texts among its inputs are run ids, job names and paths: for a shell."""
    from azure.ai.ml import Input, Output, command

    return command(
        name=NODE,
        description="Compares a fine-tuned chat model with its base model and the live one on held-out rows",
        inputs={
            "package": Input(type="uri_file"),
            "job": Input(type="string"),
            "test": Input(type="uri_file"),
            "base": Input(type="mlflow_model"),
            "candidate": Input(type="mlflow_model"),
            "live": Input(type="mlflow_model", optional=True),
            "live_run": Input(type="string", optional=True),
        },
        outputs={"results": Output(type="uri_file")},
        command=_COMMAND,
        environment=ENVIRONMENT,
        is_deterministic=False,
    )


def inputs(step: EvaluationStep, *, job: str, base: str, datastore: str) -> Mapping[str, Any]:
    """Return the node's inputs, without those that other nodes make: the test rows and the trained model."""
    from azure.ai.ml import Input

    package = f"azureml://datastores/{datastore}/paths/{step.package}"
    given: dict[str, Any] = {
        "package": Input(type="uri_file", path=package, mode="download"),
        "job": job,
        "base": Input(type="mlflow_model", path=base, mode="ro_mount"),
    }
    if step.live_model is not None:
        given["live"] = Input(type="mlflow_model", path=step.live_model, mode="ro_mount")
        given["live_run"] = step.live_run
    return given


def bind(node: Any, step: EvaluationStep, *, compute: str, instance_type: str, datastore: str) -> None:
    """Say where a node of the component runs, which is where the training did, and where its results go."""
    from azure.ai.ml import Output
    from azure.ai.ml.entities import JobResourceConfiguration

    node.compute = compute
    if compute == SERVERLESS:
        node.resources = JobResourceConfiguration(instance_type=instance_type, instance_count=1)
    target = f"azureml://datastores/{datastore}/paths/{step.results}"
    node.outputs.results = Output(type="uri_file", path=target, mode="rw_mount")
