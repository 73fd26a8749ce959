"""What somebody removes under a run's feet is noticed and said, in every state; it is never made again in silence."""

import time

import pytest

from shared.runs import actions
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.sweeps.sweep import sweep
from tests.functional.app.driving import LIFE, App, states


def deleted(app: App, path: str) -> None:
    """Delete something in Azure as a person does, and wait until it is gone."""
    assert app.azure("DELETE", path).status_code in (200, 202, 204)
    deadline = time.monotonic() + 120
    while app.azure("GET", path).status_code != 404:
        assert time.monotonic() < deadline, f"{path} is still there"
        time.sleep(0.05)


def gone(app: App, run: Run, *, state: str, message: str) -> Run:
    """Look at a run until it has failed, check that it says what is gone, and that looking again changes nothing."""
    run = app.until(run, "failed", "live")
    assert run.failure is not None
    assert (run.failure.state, run.failure.reason) == (state, "resource_gone"), run.failure
    assert message in run.failure.message
    history = states(run)
    assert states(app.advance(run)) == history
    return run


def waiting(app: App, run: Run, for_what: str) -> Run:
    deadline = time.monotonic() + 120
    while for_what not in str(run.waiting_for):
        assert time.monotonic() < deadline, f"{run.state}: {run.waiting_for}"
        time.sleep(0.02)
        run = app.advance(run)
    return run


def remove_job(app: App, run: Run) -> None:
    app.azure("POST", f"jobs/{run.id}/cancel")
    deadline = time.monotonic() + 120
    while app.job_status(run.id) not in ("Canceled", "Completed"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    app.cloud.remove("job", run.id)


def test_prepared_data(app: App) -> None:
    app.cloud.faults(compute={"message": "Not enough quota."})
    run = app.until(app.received(options={"compute": {"name": "gpu-none"}}), "failed")
    app.cloud.faults()
    for file in ("train.jsonl", "test.jsonl"):
        app.blob(f"{run.id}/{file}", "prepared").delete_blob()
    actions.retry(app.services, run.id)
    gone(app, run, state="prepared", message="Upload the dataset again")
    app.assert_nothing_submitted(run)


def test_a_job_that_trains_and_a_retry_trains_anew_under_another_name(app: App) -> None:
    app.cloud.stub(seconds=600)
    run = app.until(app.received(), "training")
    remove_job(app, run)
    app.cloud.stub()
    run = gone(app, run, state="training", message=f"Job {run.id} is gone: it was deleted outside this app")
    actions.retry(app.services, run.id)
    assert app.until(run, "training").job_name == f"{run.id}-r1"


def test_a_job_that_has_trained_before_its_model_is_registered(app: App) -> None:
    run = app.until(app.received(), "training")
    with app.services.store.claim(run.id) as claim:
        claim.run.move(RunState.TRAINED, now=app.clock(), trigger="test", reason="seen as completed")
    remove_job(app, run)
    run = gone(app, run, state="trained", message=f"Job {run.id} is gone")
    assert run.model_name is None


def test_a_model_before_its_deployment_is_made(app: App) -> None:
    app.cloud.faults(deployment={"quota": True})
    run = app.until(app.received(), "failed")
    app.cloud.faults()
    app.cloud.remove("asset.models", f"{run.model_name}/{run.model_version}")
    actions.retry(app.services, run.id)
    run = gone(app, run, state="deploying", message=f"Model {run.model_name}:{run.model_version} is gone")
    assert app.endpoint(run) is None


@pytest.mark.parametrize("what", ["endpoint", "deployment"])
def test_what_is_removed_while_it_is_made_ready_is_not_made_again_and_a_retry_makes_it_anew(
    app: App, what: str
) -> None:
    app.cloud.stub(files={"answer.txt": "late", "seconds.txt": "3"})
    run = app.until(app.received(), "deploying")
    run = waiting(app, run, f"deployment {run.endpoint}/blue is Updating")
    path = f"onlineEndpoints/{run.endpoint}"
    deleted(app, path if what == "endpoint" else f"{path}/deployments/blue")
    run = gone(app, run, state="deploying", message="is gone: it was deleted outside this app while the run made it")
    assert app.endpoint(run) is None
    actions.retry(app.services, run.id)
    (run,) = app.live(run)
    assert states(run) == [*LIFE[:7], "failed", *LIFE[5:]]
    app.assert_one_of_everything(run)


def test_an_endpoint_that_is_verified(app: App) -> None:
    run = app.until(app.received(), "verifying", "live")
    if run.state == "live":
        pytest.fail("the step does not stop at verifying")
    deleted(app, f"onlineEndpoints/{run.endpoint}")
    gone(app, run, state="verifying", message=f"Endpoint {run.endpoint} is gone")


def test_the_endpoint_of_a_live_run_retires_it_once(app: App) -> None:
    run = app.one_live()
    deleted(app, f"onlineEndpoints/{run.endpoint}")
    for _ in range(2):
        sweep(app.services, trigger="test")
    run = app.run(run)
    assert states(run) == [*LIFE, "retired"]
    assert run.history[-1].reason == f"endpoint {run.endpoint} was removed outside this app"


def test_the_deployment_of_a_live_run_retires_it_with_its_endpoint(app: App) -> None:
    run = app.one_live()
    endpoint = app.endpoint(run)
    assert endpoint is not None
    endpoint["properties"]["traffic"] = {}
    assert app.azure("PUT", f"onlineEndpoints/{run.endpoint}", endpoint).status_code == 201
    deleted(app, f"onlineEndpoints/{run.endpoint}/deployments/blue")
    sweep(app.services, trigger="test")
    run = app.run(run)
    assert states(run) == [*LIFE, "retired"]
    assert run.history[-1].reason == f"deployment {run.endpoint}/blue was removed outside this app"


def test_a_workspace_that_is_not_found_is_not_taken_for_a_job_that_is_gone(app: App) -> None:
    run = app.until(app.received(), "training")
    elsewhere = app.configured(AZUREML_WORKSPACE_NAME="no-such-workspace")
    run = elsewhere.advance(run)
    assert (run.state, run.failure) == ("training", None)
    assert run.next_attempt_at is not None
    (run,) = app.live(run)
    assert states(run) == list(LIFE)
