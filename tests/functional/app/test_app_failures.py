"""What fails in Azure: the run says why in Azure's own words, what would bill is removed, and a retry goes on."""

import pytest

from shared.errors import ActionRefusedError, DeploymentFailedError
from shared.runs import actions, chat
from shared.runs.context import Context
from shared.runs.provisioning import bring_up
from shared.runs.record import REASON_LENGTH, Run
from tests.functional.app.driving import LIFE, TOWN, App, states
from tests.functional.azureml_emulator.core.driver import eventually

FIRE = {"step": "chat_completion_finetune", "code": "UserError", "message": "CUDA out of memory: the GPU is on fire."}


def failed(app: App, run: Run, *, state: str, reason: str, message: str) -> Run:
    run = app.until(run, "failed", "live")
    assert run.failure is not None
    assert (run.failure.state, run.failure.reason) == (state, reason)
    assert message in run.failure.message
    assert run.history[-1].reason == run.failure.message[:REASON_LENGTH]
    assert run.failure.retry_helps
    return run


def retried(app: App, run: Run) -> Run:
    run = actions.retry(app.services, run.id)
    assert run.failure is None
    (run,) = app.live(run)
    assert run.state == "live", run.failure
    return run


def test_a_job_that_fails_fails_the_run_with_the_jobs_own_message_and_a_retry_trains_again(app: App) -> None:
    app.cloud.faults(job=FIRE)
    run = failed(app, app.received(), state="training", reason="job_failed", message=FIRE["message"])
    assert run.failure is not None
    assert "step chat_completion_finetune" in run.failure.message
    assert run.job_status == "Failed"
    assert app.blob_json("runs", f"{run.id}/status.json")["failure"]["reason"] == "job_failed"
    app.cloud.faults()
    run = retried(app, run)
    assert states(run) == [*LIFE[:4], "failed", *LIFE[2:]]
    assert run.job_name == f"{run.id}-r1"
    assert app.jobs_of(run) == [run.id, f"{run.id}-r1"]
    assert app.versions(str(run.model_name)) == [run.model_version]
    job = app.azure("GET", f"models/{run.model_name}/versions/{run.model_version}").json()["properties"]
    assert "eval_loss" in str(job["tags"])


def test_a_job_that_someone_cancelled_in_azure_fails_the_run(app: App) -> None:
    app.cloud.stub(seconds=600)
    run = app.until(app.received(), "training")
    assert app.azure("POST", f"jobs/{run.id}/cancel").status_code == 202
    failed(app, run, state="training", reason="job_cancelled", message="cancelled outside this app")


def test_a_job_that_trains_for_too_long_is_cancelled_and_fails_the_run(app: App) -> None:
    app.cloud.stub(seconds=120, in_step=True)
    run = app.until(app.received(), "training")
    eventually(lambda: app.job_status(run.id) == "Running")  # a job in the queue would be given up for another reason
    app.clock.forward(hours=25)
    failed(app, run, state="training", reason="training_too_long", message="MAX_TRAINING_TIME")
    assert app.job_status(run.id) in ("CancelRequested", "Canceled")


def test_a_deployment_that_cannot_start_is_removed_with_its_endpoint_and_a_retry_goes_live(app: App) -> None:
    app.cloud.stub(files={"crash.txt": "ValueError: the weights are of another model"})
    run = failed(
        app,
        app.received(),
        state="deploying",
        reason="deployment_failed",
        message="ValueError: the weights are of another model",
    )
    assert app.endpoint(run) is None
    assert app.azure("GET", f"onlineEndpoints/{run.endpoint}/deployments/blue").status_code == 404
    # The model is broken for good: the retry, which does not train again, says the same.
    actions.retry(app.services, run.id)
    failed(app, run, state="deploying", reason="deployment_failed", message="another model")
    assert app.endpoint(run) is None


def test_a_deployment_whose_creation_was_answered_too_late_and_that_fails_says_why_it_did(app: App) -> None:
    app.cloud.faults(deployment={"message": "ImagePullBackOff: the image is not there."})
    run = app.until(app.received(), "deploying")
    while "is being made" not in str(run.waiting_for) or "deployment" not in str(run.waiting_for):
        run = app.advance(run)
    there = f"onlineEndpoints/{run.endpoint}/deployments/{run.deployment}"
    eventually(lambda: app.azure("GET", there).json()["properties"]["provisioningState"] == "Failed")
    with app.services.store.claim(run.id) as claim, pytest.raises(DeploymentFailedError, match="could not start"):
        # None: as it was when it was looked for; the PUT that follows finds it broken.
        bring_up(Context(claim, app.services), str(run.endpoint), str(run.deployment), None)
    app.until(run, "failed")


@pytest.mark.parametrize(
    ("fault", "reason", "message"),
    [
        ({"message": "ImagePullBackOff: the image is not there."}, "deployment_failed", "its log is empty"),
        ({"quota": True}, "quota", "Not enough quota"),
    ],
    ids=["could-not-start", "quota"],
)
def test_a_deployment_that_fails_is_removed_and_a_retry_goes_live_with_the_same_model(
    app: App, fault: dict[str, object], reason: str, message: str
) -> None:
    app.cloud.faults(deployment=fault)
    run = failed(app, app.received(), state="deploying", reason=reason, message=message)
    assert app.endpoint(run) is None
    app.cloud.faults()
    run = retried(app, run)
    assert states(run) == [*LIFE[:7], "failed", *LIFE[5:]]
    app.assert_one_of_everything(run)
    with pytest.raises(ActionRefusedError, match="is live: only a failed run can be retried"):
        actions.retry(app.services, run.id)


def test_a_deployment_that_takes_for_ever_is_removed(app: App) -> None:
    app.cloud.stub(files={"answer.txt": "late", "seconds.txt": "120"})
    run = app.until(app.received(), "deploying")
    while run.waiting_for != f"deployment {run.endpoint}/blue is Updating":
        run = app.advance(run)
    app.clock.forward(hours=3)
    failed(app, run, state="deploying", reason="deployment_failed", message="After 2:00:00 deployment")
    assert app.endpoint(run) is None


def test_a_model_that_says_nothing_does_not_go_live_and_does_not_bill(app: App) -> None:
    app.cloud.stub(files={"answer.txt": ""})
    run = failed(app, app.received(), state="verifying", reason="smoke_test_failed", message="answers are empty")
    assert app.endpoint(run) is None
    with pytest.raises(ActionRefusedError, match="only a live run"):
        chat.chat(app.services, run.id, [{"role": "user", "content": TOWN}], {})


def test_an_endpoint_of_the_same_name_made_by_someone_else_is_left_alone(app: App) -> None:
    run = app.until(app.received(), "registered", "training")
    name = f"{run.project}-{run.id.rpartition('-')[2]}"
    theirs = {"location": "eastus", "tags": {"owner": "somebody"}, "properties": {"authMode": "Key"}}
    assert app.azure("PUT", f"onlineEndpoints/{name}", theirs).status_code == 201
    run = failed(app, run, state="deploying", reason="endpoint_taken", message=f"There is an endpoint {name}")
    endpoint = app.endpoint(run)
    assert endpoint is not None
    assert endpoint["tags"] == {"owner": "somebody"}
    app.azure("DELETE", f"onlineEndpoints/{name}")
    assert retried(app, run).endpoint == name


def test_prepared_data_that_was_removed_is_missed_before_anything_is_submitted(app: App) -> None:
    app.cloud.faults(compute={"message": "Not enough quota."})
    run = app.until(app.received(options={"compute": {"name": "gpu-later"}}), "failed")
    app.cloud.faults()
    app.blob(f"{run.id}/train.jsonl", "prepared").delete_blob()
    actions.retry(app.services, run.id)
    failed(app, run, state="prepared", reason="resource_gone", message=f"prepared/{run.id}/train.jsonl is gone")
    app.assert_nothing_submitted(run)


def test_a_retry_while_the_run_is_under_way_is_no_second_one(app: App) -> None:
    app.cloud.faults(job=FIRE)
    run = app.until(app.received(), "failed")
    app.cloud.faults()
    for _ in range(2):
        assert actions.retry(app.services, run.id).state == "prepared"
    assert app.run(run).job_retries == 1
    actions.cancel(app.services, run.id)
