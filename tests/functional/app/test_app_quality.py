"""The job evaluates what it trained, and what does not reach what was asked for waits for a person."""

import itertools
from typing import Any

import pytest

from shared.runs import reception
from shared.runs.record import Run
from shared.runs.states import RunState
from shared.runs.status import status_of
from tests.functional.app.driving import LIFE, App, conversations, states

STEP = "evaluate_model"
STRICT = "quality: {max_eval_loss: 1.8, must_beat_live: true, min_rows: 1}\n"
_numbers = itertools.count(1)


@pytest.fixture
def app(app: App) -> App:
    return app.configured(EVALUATE="true")


@pytest.fixture(scope="module")
def live(module_app: App) -> Run:
    return module_app.configured(EVALUATE="true").one_live(yaml=STRICT)


def again(app: App, project: str, *, rows: int = 12, options: dict[str, Any] | None = None) -> Run:
    """Upload another dataset into a project that has one."""
    name = f"{project}/again{next(_numbers)}.jsonl"
    # The test rows are the same: those go by the prompt.
    app.blob(name).upload_blob(conversations(12) + conversations(rows)[len(conversations(12)) :])
    run, _ = reception.receive_by_name(app.services, name, options={"seed": 0, **(options or {})})
    return run


def held(app: App, run: Run) -> Run:
    run = app.until(run, "held", "live", "failed")
    assert run.state == "held", (run.failure, run.evaluation)
    return run


def approve(app: App, run: Run) -> None:
    """Do by hand what the API does: overrule the hold, and go on where it was."""
    with app.services.store.claim(run.id) as claim:
        hold = claim.run.hold
        assert hold is not None
        claim.run.approved.append(hold.reason)
        claim.run.hold = None
        claim.run.move(hold.state, now=app.clock(), trigger="test", reason="approved")


def test_a_model_that_reaches_what_is_asked_goes_live(app: App, live: Run) -> None:
    assert states(live) == list(LIFE)
    app.assert_one_of_everything(live)
    evaluation = live.evaluation
    assert evaluation is not None
    assert evaluation.candidate is not None
    assert evaluation.base is not None
    assert (evaluation.candidate.loss, evaluation.base.loss, evaluation.error) == (1.5, 3.0, None)
    assert evaluation.rows_test == evaluation.candidate.rows == live.rows["rows_test"]


def test_the_evaluation_is_a_step_of_the_job_behind_the_training(app: App, live: Run) -> None:
    steps = app.services.plane.steps(live.id)
    assert [step["displayName"] for step in steps][-2:] == ["ft_nlp_model_converter", STEP]
    assert {step["status"] for step in steps} == {"Completed"}
    node = app.azure("GET", f"jobs/{live.id}").json()["properties"]["jobs"][STEP]
    assert node["resources"] == {"instance_count": 1, "instance_type": "Standard_F4s_v2"}
    assert node["inputs"]["candidate"]["value"].endswith(".outputs.mlflow_model_folder}}")
    assert "live" not in node["inputs"]


def test_its_numbers_are_in_storage_in_mlflow_and_in_the_status(app: App, live: Run) -> None:
    stored = app.blob_json("prepared", f"{live.id}/evaluation.json")
    assert (stored["job"], stored["test_sha256"]) == (live.id, live.test_sha256)
    assert (live.metrics["eval.candidate.loss"], live.metrics["eval.base.loss"]) == (1.5, 3.0)
    status = status_of(app.services, live)
    assert any("the trained model has a loss of 1.500" in sentence for sentence in status["summary"])
    assert status["files"]["evaluation"].endswith(f"{live.id}/evaluation.json")


def test_a_model_worse_than_the_live_one_is_held_and_nothing_is_deployed(app: App, live: Run) -> None:
    app.cloud.stub(evaluation={"candidate": {"loss": 1.7}, "live": {"loss": 1.6}})
    run = held(app, again(app, live.project, options={"quality": {"must_beat_live": True}}))
    assert run.hold is not None
    assert (run.hold.reason, run.hold.state) == ("quality_live", "registered")
    assert f"is 1.7 on {run.rows['rows_test']} test row" in run.hold.message
    assert f"of the live model of run {live.id} is 1.6" in run.hold.message
    assert run.hold.message in app.blob_json("runs", f"{run.id}/status.json")["summary"]
    assert run.endpoint is None
    assert app.versions(str(run.model_name))
    node = app.azure("GET", f"jobs/{run.id}").json()["properties"]["jobs"][STEP]
    assert node["inputs"]["live"]["uri"].endswith(f"/models/{live.model_name}/versions/{live.model_version}")
    assert run.evaluation is not None
    assert run.evaluation.compared_with == live.id
    assert states(app.advance(run)) == states(run)


def test_what_a_person_approves_is_deployed(app: App, live: Run) -> None:
    app.cloud.stub(evaluation={"candidate": {"loss": 1.7}, "live": {"loss": 1.6}})
    run = held(app, again(app, live.project, rows=13, options={"quality": {"must_beat_live": True}}))
    approve(app, run)
    run = app.until(run, "live", "held", "failed")
    assert run.state == RunState.LIVE
    assert run.approved == ["quality_live"]


def test_every_thing_not_met_is_said_and_approved_on_its_own(app: App) -> None:
    app.cloud.stub(evaluation={"candidate": {"loss": 2.5}})
    run = held(app, app.received(yaml="quality: {max_eval_loss: 1.8, min_rows: 150}\n"))
    assert run.hold is not None
    assert run.hold.reason == "quality_rows"
    assert "quality.min_rows asks for 150" in run.hold.message
    assert "quality.max_eval_loss allows 1.8" in run.hold.message
    approve(app, run)
    run = held(app, run)
    assert run.hold is not None
    assert (run.hold.reason, "min_rows" in run.hold.message) == ("quality_loss", False)


@pytest.mark.parametrize("evaluation", [None, {"error": "It was killed."}, {"candidate": {"loss": None}}])
def test_an_evaluation_that_failed_fails_no_run(app: App, evaluation: Any) -> None:
    app.cloud.stub(evaluation=evaluation)
    run = app.one_live()
    assert run.evaluation is not None
    assert app.job_status(run.id) == "Completed"


def test_a_step_of_evaluation_that_could_not_even_start_fails_no_run(app: App) -> None:
    app.cloud.faults(job={"step": STEP, "message": "The environment image could not be pulled."})
    run = app.one_live()
    assert app.job_status(run.id) == "Failed"
    assert run.evaluation is not None
    assert run.evaluation.error is not None
    assert any("The environment image could not be pulled." in line.reason for line in run.history)


def test_an_evaluation_that_failed_holds_the_run_that_asks_for_it(app: App) -> None:
    app.cloud.stub(evaluation={"error": "The evaluation's process was killed."})
    run = held(app, app.received(yaml="quality: {max_eval_loss: 1.8}\n"))
    assert run.hold is not None
    assert run.hold.reason == "quality_unknown"
    assert "The evaluation's process was killed." in run.hold.message


def test_a_run_that_is_not_evaluated_has_no_step_for_it(app: App) -> None:
    run = app.one_live(yaml="evaluate: false\n")
    assert run.evaluation is None
    assert STEP not in app.azure("GET", f"jobs/{run.id}").json()["properties"]["jobs"]


def test_a_large_dataset_is_evaluated_on_what_the_job_held_out(app: App) -> None:
    run = app.configured(EVALUATE="true", PREPARE_IN_FUNCTION_MAX_MB="0").one_live(yaml=STRICT)
    steps = [step["displayName"] for step in app.services.plane.steps(run.id)]
    assert (steps[0], steps[-1], len(steps)) == ("prepare_dataset", STEP, 7)
    assert run.evaluation is not None
    assert run.evaluation.error is None
    assert app.blob_json("prepared", f"{run.id}/evaluation.json")["test_sha256"] == run.test_sha256


def test_numbers_of_an_earlier_job_are_not_taken_for_a_later_ones(app: App) -> None:
    app.cloud.stub(seconds=3)
    run = app.until(app.received(yaml="quality: {max_eval_loss: 1.8}\n"), "training")
    app.until(run, "trained", "registered", "deploying", "live")
    with app.services.store.claim(run.id) as claim:
        claim.run.job_name = f"{run.id}-r1"
        claim.run.evaluation = None
    # Only the record is looked at: what the blob says is another job's.
    from shared.runs import evaluation
    from shared.runs.context import Context

    with app.services.store.claim(run.id) as claim:
        evaluation.adopt(Context(claim, app.services))
        assert claim.run.evaluation is not None
        assert f"was written by job {run.id}" in str(claim.run.evaluation.error)
