from typing import Any

import pytest

from local.azureml.http import AzureError
from local.azureml.jobs.plan import Workspace, make_plan

COMPONENT = "azureml://registries/azureml/components/chat_completion_pipeline/versions/0.0.82"
MODEL = "azureml://registries/azureml/models/Phi-4/versions/8"
TRAIN = "azureml://datastores/finetune_prepared/paths/r1/train.jsonl"


def literal(value: str) -> dict[str, str]:
    return {"job_input_type": "literal", "value": value}


def pipeline(component: str = COMPONENT, drop: str = "", **inputs: Any) -> dict[str, Any]:
    node_inputs = {
        "mlflow_model_path": {"job_input_type": "mlflow_model", "uri": MODEL},
        "train_file_path": {"job_input_type": "uri_file", "uri": TRAIN},
        "task_name": literal("ChatCompletion"),
        **inputs,
    }
    node_inputs.pop(drop, None)
    output = {"mlflow_model_folder": {"type": "literal", "value": "${{parent.outputs.trained_model}}"}}
    node = {"componentId": component, "type": "pipeline", "inputs": node_inputs, "outputs": output}
    return {"jobType": "Pipeline", "jobs": {"node": node}, "outputs": {"trained_model": {}}, "inputs": {}}


def refusal(properties: dict[str, Any], workspace: Workspace) -> AzureError:
    with pytest.raises(AzureError) as caught:
        make_plan(properties, workspace)
    return caught.value


def test_defaults_of_the_component_are_filled_in(workspace: Workspace) -> None:
    plan = make_plan(pipeline(learning_rate=literal("0.001")), workspace)
    assert (plan.inputs["learning_rate"], plan.inputs["lora_r"], plan.inputs["seed"]) == ("0.001", "8", "42")


def test_files_model_and_outputs_are_found(workspace: Workspace) -> None:
    plan = make_plan(pipeline(), workspace)
    assert plan.files == {"train_file_path": {"container": "prepared", "blob": "r1/train.jsonl", "uri": TRAIN}}
    assert (plan.requested_model, plan.outputs) == ("Phi-4", {"trained_model": "mlflow_model_folder"})


def test_reference_to_the_pipelines_own_input_is_followed(workspace: Workspace) -> None:
    properties = pipeline(num_train_epochs=literal("${{parent.inputs.epochs}}"))
    properties["inputs"] = {"epochs": {"jobInputType": "literal", "value": "3"}}
    assert make_plan(properties, workspace).inputs["num_train_epochs"] == "3"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("learning_rate_min", "0", "learning_rate_min is not an input"),
        ("num_train_epochs", "0", "num_train_epochs must be >= 1, found 0"),
        ("num_train_epochs", "1.5", "num_train_epochs must be of type integer, found '1.5'"),
        ("learning_rate", "nan", "learning_rate must be finite"),
        ("lr_scheduler_type", "nope", "lr_scheduler_type must be one of linear, cosine"),
        ("apply_lora", "True", "apply_lora must be one of true, false, found 'True'"),
        ("train_file_path", "train.jsonl", "train_file_path takes a uri_file asset"),
    ],
)
def test_input_the_component_cannot_take_is_named(workspace: Workspace, name: str, value: str, said: str) -> None:
    refused = refusal(pipeline(**{name: literal(value)}), workspace)
    assert refused.status == 400
    assert said in refused.message


def test_all_faults_are_told_together(workspace: Workspace) -> None:
    refused = refusal(pipeline(drop="train_file_path", seed=literal("x"), nope=literal("1")), workspace)
    for said in ("nope is not an input", "train_file_path", "seed must be of type integer"):
        assert said in refused.message


@pytest.mark.parametrize(
    ("properties", "status", "said"),
    [
        (pipeline(component=COMPONENT.replace("0.0.82", "9.9.9")), 404, "Not found component"),
        (pipeline(component="/subscriptions/x/components/mine/versions/1"), 400, "registry components only"),
        (pipeline(compute_finetune=literal("nowhere")), 404, "Unknown compute target 'nowhere'"),
        ({"jobType": "Command"}, 400, "jobs of type Pipeline only"),
        ({"jobType": "Pipeline", "jobs": {}}, 400, "has 0 nodes"),
    ],
)
def test_job_that_cannot_run_is_refused(
    workspace: Workspace, properties: dict[str, Any], status: int, said: str
) -> None:
    refused = refusal(properties, workspace)
    assert refused.status == status
    assert said in refused.message


@pytest.mark.parametrize("compute", ["serverless", "gpu"])
def test_known_compute_is_taken(workspace: Workspace, compute: str) -> None:
    assert make_plan(pipeline(compute_finetune=literal(compute)), workspace).inputs["compute_finetune"] == compute
