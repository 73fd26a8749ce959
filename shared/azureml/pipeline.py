"""The fine-tuning job: Azure's own chat_completion_pipeline, submitted once per name."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from shared.azureml import evaluation as evaluating
from shared.azureml import preparation as preparing
from shared.azureml.client import AzureML, plain
from shared.azureml.compute import SERVERLESS, choose_serving_sizes, choose_training_compute
from shared.azureml.evaluation import EvaluationStep
from shared.azureml.foundation_models import get_component, get_foundation_model
from shared.azureml.hyperparameters import input_specs, resolve
from shared.azureml.jobs import find_job
from shared.azureml.preparation import PreparationStep
from shared.azureml.trouble import understood
from shared.runs.names import slug
from shared.runs.options import EffectiveOptions
from shared.runs.parts import TrainingPlan
from shared.runs.record import Run

OUTPUT = "trained_model"
RUN_TAG = "finetune.run"
TAG_LENGTH = 256  # Azure Resource Manager's limit of a tag's value
_building = threading.Lock()
_STAGES = ("model_import", "preprocess", "finetune", "model_evaluation")


def plan_training(azureml: AzureML, run: Run, options: EffectiveOptions) -> tuple[TrainingPlan, list[str]]:
    """Resolve what the job will be submitted with, checking everything that can be checked before it costs.

    Returns: the plan, and notes for people.
    Raises: FoundationModelError, ComputeError and its kinds, HyperparameterError, TransientError.
    """
    model = get_foundation_model(azureml, options.foundation_model)
    component = get_component(azureml)
    hyperparameters, notes = resolve(input_specs(component), model.hyperparameter_defaults, options.hyperparameters)
    compute = choose_training_compute(
        azureml,
        name=options.compute,
        wanted_size=options.training_instance_type,
        allowed_sizes=model.training_sizes,
    )
    serving = choose_serving_sizes(
        azureml, wanted_sizes=options.serving_instance_types, allowed_sizes=model.serving_sizes
    )
    plan = TrainingPlan(
        foundation_model=f"{model.name}:{model.version}",
        foundation_model_id=model.id,
        component=f"{component.name}:{component.version}",
        compute=compute.name,
        instance_type=compute.instance_type,
        gpus_per_node=compute.gpus_per_node,
        low_priority=compute.low_priority,
        hyperparameters=hyperparameters,
        serving_instance_type=serving[0],
        serving_instance_types=serving,
        display_name=display_name(model.name, slug(run.project), hyperparameters, compute.gpus_per_node),
    )
    return plan, [*model.warnings, *notes]


def submit(
    azureml: AzureML,
    run: Run,
    plan: TrainingPlan,
    job_name: str,
    preparation: PreparationStep | None = None,
    evaluation: EvaluationStep | None = None,
) -> str:
    """Submit the job under its fixed name, unless it exists already.

    Args: preparation: the step that prepares the dataset first; None when it is prepared. evaluation: the step that
    measures the trained model at the end; None: it is not measured.
    Returns: the job's status.
    Idempotency: the job's name. A job that is there is never submitted again, even if it has ended.
    """
    existing = find_job(azureml, job_name)
    if existing is not None:
        return existing
    component = get_component_of(azureml, plan)
    # The SDK's pipeline builder is one stack for the whole process: two threads building at once mix their inputs up.
    with _building, understood(f"submitting job {job_name}"):
        job = build(
            component,
            run,
            plan,
            job_name=job_name,
            datastore=azureml.settings.prepared_datastore,
            preparation=preparation,
            evaluation=evaluation,
        )
    with understood(f"submitting job {job_name}"):
        # The SDK's own validation takes ten times the CPU of all the rest of a submit and changes nothing in what is
        # sent: the plan was checked against the component's inputs, and Azure checks the job again.
        created = azureml.workspace.jobs.create_or_update(
            job, experiment_name=experiment_name(plan), skip_validation=True
        )
    return plain(created.status)


def get_component_of(azureml: AzureML, plan: TrainingPlan) -> Any:
    """Return the very component version that the plan was checked against."""
    name, _, version = plan.component.partition(":")
    with understood(f"looking up component {plan.component}"):
        return azureml.registry.components.get(name, version=version)


def build(
    component: Any,
    run: Run,
    plan: TrainingPlan,
    *,
    job_name: str,
    datastore: str,
    preparation: PreparationStep | None = None,
    evaluation: EvaluationStep | None = None,
) -> Any:
    """Build the SDK's pipeline object: the node that trains, its output bound to `trained_model`.

    With a preparation there is a node in front, and the training waits for its files; with an evaluation there is one
    behind, which waits for the trained model.
    """
    from azure.ai.ml import Input
    from azure.ai.ml.constants import AssetTypes
    from azure.ai.ml.dsl import pipeline

    def prepared(file: str) -> Any:
        path = f"azureml://datastores/{datastore}/paths/{run.id}/{file}"
        return Input(type=AssetTypes.URI_FILE, path=path)

    def training(train: Any, test: Any) -> Any:
        # Early stopping needs a validation file; without one the component would split it off the training data.
        node = component(train_file_path=train, validation_file_path=test, test_file_path=test, **inputs)
        if evaluation is not None:
            # The SDK names the node after this variable: evaluating.NODE.
            evaluate_model = evaluating.component()(
                test=test, candidate=node.outputs.mlflow_model_folder, **given_to_evaluate
            )
            evaluating.bind(
                evaluate_model,
                evaluation,
                compute=plan.compute,
                instance_type=plan.instance_type,
                datastore=datastore,
            )
        return {OUTPUT: node.outputs.mlflow_model_folder}

    inputs = {
        "mlflow_model_path": Input(type=AssetTypes.MLFLOW_MODEL, path=plan.foundation_model_id),
        "number_of_gpu_to_use_finetuning": plan.gpus_per_node,
        **compute_inputs(plan.compute, plan.instance_type),
        **plan.hyperparameters,
    }
    given_to_evaluate: Mapping[str, Any] = {}
    if evaluation is not None:
        given_to_evaluate = evaluating.inputs(
            evaluation, job=job_name, base=plan.foundation_model_id, datastore=datastore
        )

    def finetune() -> Any:
        if preparation is None:
            return training(prepared("train.jsonl"), prepared("test.jsonl"))
        # The SDK names the node after this variable: preparing.NODE.
        prepare_dataset = preparing.component()(**preparing.inputs(preparation, datastore=datastore))
        preparing.bind(prepare_dataset, preparation, datastore=datastore)
        return training(prepare_dataset.outputs.train, prepare_dataset.outputs.test)

    job = pipeline(finetune, name=plan.display_name, display_name=plan.display_name)()
    job.name = job_name
    job.settings.force_rerun = True
    job.settings.continue_on_step_failure = False
    job.tags = tags(run)
    return job


def compute_inputs(compute: str, instance_type: str) -> dict[str, str]:
    """Return the component's compute inputs: all stages on one cluster, or serverless with a size for each."""
    inputs = {f"compute_{stage}": compute for stage in _STAGES}
    if compute == SERVERLESS:
        inputs |= {f"instance_type_{stage}": instance_type for stage in _STAGES}
    return inputs


def tags(run: Run) -> dict[str, str]:
    """Return the tags that lead from an Azure resource back to the run."""
    tags = {
        RUN_TAG: run.id,
        "finetune.project": run.project,
        "finetune.dataset": run.dataset.path,
        "finetune.dataset_etag": run.dataset.etag,
    }
    return {name: value[:TAG_LENGTH] for name, value in tags.items()}


def experiment_name(plan: TrainingPlan) -> str:
    """Return the experiment that gathers all runs of a foundation model, as the tutorial names it."""
    return f"chat_completion_{plan.foundation_model.partition(':')[0]}"


def display_name(model: str, project: str, hyperparameters: Mapping[str, str], gpus_per_node: int) -> str:
    """Return the tutorial's display name, which says the most important hyperparameters.

    >>> display_name("Phi-4", "bot", {"apply_lora": "true", "lr_scheduler_type": "cosine"}, 4)
    'Phi-4-bot-bs4-cosine-nods-lora-save_limit-1-seqlen-1'
    """
    batch_size = (
        int(hyperparameters.get("per_device_train_batch_size", 1))
        * int(hyperparameters.get("gradient_accumulation_steps", 1))
        * int(hyperparameters.get("num_nodes_finetune", 1))
        * gpus_per_node
    )
    deepspeed = hyperparameters.get("apply_deepspeed", "false") == "true"
    return "-".join(
        [
            model,
            project,
            f"bs{batch_size}",
            hyperparameters.get("lr_scheduler_type", "linear"),
            f"ds{hyperparameters.get('deepspeed_stage', '2')}" if deepspeed else "nods",
            "lora" if hyperparameters.get("apply_lora", "false") == "true" else "nolora",
            f"save_limit{hyperparameters.get('save_total_limit', -1)}",
            f"seqlen{hyperparameters.get('max_seq_length', -1)}",
        ]
    )
