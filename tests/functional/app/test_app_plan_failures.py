"""What is checked before a job is submitted: the run fails with a reason, and nothing was paid for."""

from typing import Any

import pytest

from shared.errors import ActionRefusedError
from shared.runs import actions
from tests.functional.app.driving import App, states

K80 = {"compute": {"instance_type": "Standard_NC6"}}


@pytest.mark.parametrize(
    ("options", "reason", "message"),
    [
        ({"hyperparameters": {"learning_speed": 1}}, "hyperparameter", "learning_speed is not an input"),
        ({"hyperparameters": {"num_train_epochs": 0}}, "hyperparameter", "num_train_epochs is 0, expected 1 or more"),
        ({"hyperparameters": {"num_train_epochs": "two"}}, "hyperparameter", "expected a whole number"),
        ({"hyperparameters": {"lr_scheduler_type": "zigzag"}}, "hyperparameter", "expected one of"),
        ({"hyperparameters": {"train_file_path": "x"}}, "hyperparameter", "is set by the app itself"),
        ({"foundation_model": "Phi-99"}, "foundation_model", "called 'Phi-99'"),
        ({"foundation_model": "Phi-4:1"}, "foundation_model", "called 'Phi-4:1'"),
        ({"compute": {"instance_type": "Standard_DS2_v2"}}, "compute_size_not_allowed", "Set TRAINING_INSTANCE_TYPE"),
        (K80, "compute_size_not_allowed", "Standard_NC6"),
        ({"deploy": {"instance_type": "Standard_DS2_v2"}}, "compute_size_not_allowed", "cannot serve this model"),
    ],
)
def test_what_cannot_work_fails_before_a_job_is_submitted(
    app: App, options: dict[str, Any], reason: str, message: str
) -> None:
    run = app.advance(app.received(options=options))
    assert states(run) == ["received", "preparing", "prepared", "failed"]
    assert run.failure is not None
    assert (run.failure.state, run.failure.reason) == ("prepared", reason)
    assert message in run.failure.message
    app.assert_nothing_submitted(run)


def test_all_faults_of_the_hyperparameters_are_said_together(app: App) -> None:
    wrong = {"num_train_epochs": 0, "learning_rate": "fast", "colour": "blue"}
    run = app.advance(app.received(options={"hyperparameters": wrong}))
    assert run.failure is not None
    assert all(name in run.failure.message for name in wrong)
    assert run.failure.retry_helps is False
    with pytest.raises(ActionRefusedError, match="cannot help"):
        actions.retry(app.services, run.id)


def test_a_component_that_does_not_exist_fails_the_run(app: App) -> None:
    other = app.configured(PIPELINE_COMPONENT="chat_completion_pipeline:9.9.9")
    run = other.advance(other.received())
    assert run.failure is not None
    assert run.failure.reason == "foundation_model"
    assert "component in registry azureml called 'chat_completion_pipeline:9.9.9'" in run.failure.message


def test_a_failed_plan_goes_on_with_a_retry_when_the_setting_was_corrected(app: App) -> None:
    wrong = app.configured(TRAINING_INSTANCE_TYPE="Standard_DS2_v2")
    run = wrong.advance(wrong.received())
    assert run.failure is not None
    assert run.failure.reason == "compute_size_not_allowed"
    actions.retry(app.services, run.id)
    run = app.until(run, "training")
    assert (run.failure, app.jobs_of(run)) == (None, [run.id])
    actions.cancel(app.services, run.id)
