"""A whole job of the fast engine: what it reports, and what it leaves."""

import json
import math

import yaml

from .conftest import STEPS, Job, Tracking


def test_every_step_runs_and_completes_in_order(trained: Job) -> None:
    assert trained.exit_code == 0, trained.output
    assert [(line["step"], line["status"]) for line in trained.status] == [
        (step, status) for step in STEPS for status in ("Running", "Completed")
    ]
    assert all(line["error"] is None for line in trained.status)


def test_loss_is_finite_and_falls(trained: Job, tracking: Tracking) -> None:
    losses = [value for _, value in tracking.history("loss")]
    evaluated = [value for _, value in tracking.history("eval_loss")]
    assert all(math.isfinite(value) for value in losses + evaluated)
    assert losses[-1] < losses[0] * 0.8
    assert evaluated[-1] < evaluated[0] * 0.8


def test_metrics_carry_their_steps(trained: Job, tracking: Tracking) -> None:
    assert [step for step, _ in tracking.history("loss")] == [5, 10, 15, 20]
    assert [step for step, _ in tracking.history("learning_rate")] == [5, 10, 15, 20]
    assert [step for step, _ in tracking.history("eval_loss")] == [0, 10, 20, 20]
    (last,) = tracking.history("perplexity")
    assert math.isclose(last[1], math.exp(tracking.history("eval_loss")[-1][1]))
    assert tracking.history("total_steps") == [(20, 20.0)]


def test_metrics_go_to_the_step_s_run_with_the_job_s_token(trained: Job, tracking: Tracking) -> None:
    assert {batch["run_id"] for batch in tracking.batches} == {"run-chat_completion_finetune"}
    assert tracking.tokens == {"Bearer secret-token"}


def test_refused_metrics_are_said_in_the_log_and_sent_later(trained: Job, tracking: Tracking) -> None:
    assert "were not recorded in MLflow" in trained.log("chat_completion_finetune")
    assert tracking.history("eval_loss")[0][0] == 0  # was among the refused


def test_ignored_inputs_are_said_in_the_log(trained: Job) -> None:
    assert "precision=16 is ignored" in trained.log("ft_nlp_common_validation")
    assert "apply_lora is ignored by the fast engine" in trained.log("chat_completion_finetune")


def test_conversations_are_not_logged(trained: Job) -> None:
    assert not any("seven" in trained.log(step) for step in STEPS)


def test_output_is_an_mlflow_model_of_the_shape_of_azure_s(trained: Job) -> None:
    described = yaml.safe_load((trained.model / "MLmodel").read_text())
    assert described["flavors"]["hftransformersv2"]["task_type"] == "chat-completion"
    assert described["flavors"]["python_function"]["loader_module"] == "azureml.evaluate.mlflow.hftransformers"
    assert described["metadata"]["base_model_name"] == "tiny-random"
    assert described["metadata"]["requested_model"] == "Phi-4"
    files = ["data/model/model.safetensors", "data/config/config.json", "data/tokenizer/tokenizer.json"]
    assert [name for name in [*files, "conda.yaml", "requirements.txt"] if not (trained.model / name).is_file()] == []
    assert json.loads((trained.model / "input_example.json").read_text())["input_data"]["input_string"]
