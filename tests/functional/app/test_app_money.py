"""Money before a submit: what a training may cost, quota to train and to serve; and what a run has cost."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import azure.functions as func
import pytest
from azure.ai.ml.entities import AmlCompute

from functions import http_api
from shared.runs import actions
from shared.runs.record import Run
from shared.runs.states import RunState
from tests.functional.app.driving import App, conversations, states
from tests.functional.azureml_emulator.core.driver import eventually

A100 = "Standard_NC24ads_A100_v4"
A100_FAMILY, F_FAMILY, DS_FAMILY = "standardNCADSA100v4Family", "standardFSv2Family", "standardDSv2Family"
# A model that trains on sizes with a list price: the set-up alone, 0.3 to 1 hours, costs 1.10 to 3.67 USD and more.
PHI = {"foundation_model": "Phi-4", "compute": {"instance_type": A100}, "deploy": {"instance_type": A100}}


@pytest.fixture(autouse=True)
def generous(app: App) -> Iterator[None]:
    """What one test leaves running holds cores of the next one's."""
    yield
    limits(app, {})
    app.cloud.kill_jobs_and_endpoints()


def limits(app: App, asked: Mapping[str, Any]) -> None:
    app.cloud.quota(asked)


def approve(app: App, run: Run) -> Run:
    """Overrule a hold, as a person does."""
    with app.services.store.claim(run.id) as claim:
        held = claim.run
        assert held.hold is not None
        held.approved.append(held.hold.reason)
        held.move(held.hold.state, now=app.clock(), trigger="test", reason="approved")
        held.hold = None
    return app.run(run)


def budgeted(app: App, **budget: float) -> Run:
    return app.received(options={**PHI, "budget": budget})


def running(app: App, run: Run) -> Run:
    """Wait until the run's job runs, or at least is Running."""
    run = app.until(run, "training")
    eventually(lambda: app.job_status(run.id) == "Running")
    return run


# --- the price


def test_an_estimate_is_kept_and_shown_before_the_job_is_submitted(app: App) -> None:
    run = app.until(app.received(options=PHI), "training")
    assert run.estimate is not None
    assert (run.estimate.instance_type, run.estimate.nodes, run.estimate.usd_per_hour) == (A100, 1, 3.673)
    assert run.estimate.usd_low is not None
    assert run.estimate.usd_high is not None
    assert 1.10 <= run.estimate.usd_low < run.estimate.usd_high < 5
    assert run.estimate.price_as_of
    assert "Serverless compute and dedicated nodes of a cluster cost the same" in run.estimate.assumptions[-1]
    summary = app.blob_json("runs", f"{run.id}/status.json")["summary"]
    assert run.estimate.sentence() in summary
    actions.cancel(app.services, run.id)


def test_a_price_of_ones_own_is_what_estimate_page_and_costs_go_by(app: App) -> None:
    app = app.configured(PRICES=json.dumps({A100.lower(): 2.0}))
    run = app.until(app.received(options=PHI), "training")
    assert run.estimate is not None
    assert (run.estimate.usd_per_hour, run.estimate.price_region) == (2.0, "")
    assert run.estimate.usd_low is not None
    assert run.estimate.usd_low < 1.10
    assert "2.00 USD an hour (the app's setting PRICES)" in run.estimate.sentence()
    assert f"{A100} costs 2.00 USD an hour: so it was set for this app." in run.estimate.assumptions
    assert [spell.usd_per_hour for spell in run.costs.spells] == [2.0]
    actions.cancel(app.services, run.id)


def test_nodes_of_low_priority_may_cost_a_fifth(app: App) -> None:
    cluster = AmlCompute(name="gpu-low", size=A100, min_instances=0, max_instances=1, tier="low_priority")
    app.services.azureml.workspace.compute.begin_create_or_update(cluster).wait()
    options = {**PHI, "compute": {"name": "gpu-low"}}
    run = app.until(app.received(options=options), "training")
    assert run.estimate is not None
    assert run.estimate.low_priority
    assert run.estimate.usd_low is not None
    assert 0.2 < run.estimate.usd_low < 0.4
    assert "Nodes of low priority cost 20 to 100 % of the list price" in run.estimate.assumptions[-1]
    actions.cancel(app.services, run.id)


def test_a_training_above_hold_above_waits_for_approval_and_goes_on_after_it(app: App) -> None:
    run = app.advance(budgeted(app, hold_above=2))
    assert (run.state, run.hold and run.hold.reason) == ("held", "budget")
    assert run.hold is not None
    assert "That may be more than hold_above, 2.00 USD." in run.hold.message
    app.assert_nothing_submitted(run)
    assert run.costs.total_usd == 0
    assert app.blob_json("runs", f"{run.id}/status.json")["hold"]["reason"] == "budget"
    run = app.until(approve(app, run), "live", "failed", "held")
    assert run.state == RunState.LIVE, run.failure
    assert states(run)[:5] == ["received", "preparing", "prepared", "held", "prepared"]
    app.assert_one_of_everything(run)


def test_a_training_within_hold_above_is_not_held(app: App) -> None:
    run = app.until(budgeted(app, hold_above=100, max_per_run=100), "training")
    actions.cancel(app.services, run.id)


def test_a_price_that_is_not_known_waits_for_approval_when_there_is_a_budget(app: App) -> None:
    thrifty = app.configured(HOLD_ABOVE="1000")
    run = thrifty.advance(thrifty.received())
    assert run.hold is not None
    assert (run.state, run.hold.reason) == ("held", "budget")
    assert run.hold.message.startswith("What the training will cost is not known.")
    assert run.estimate is not None
    assert run.estimate.usd_high is None
    app.assert_nothing_submitted(run)
    actions.cancel(app.services, run.id)


def test_a_training_above_the_limit_fails_before_it_costs_anything(app: App) -> None:
    run = app.advance(budgeted(app, max_per_run=1))
    assert run.failure is not None
    assert (run.state, run.failure.reason) == ("failed", "over_budget")
    assert "Even the low end is more than max_per_run, 1.00 USD." in run.failure.message
    app.assert_nothing_submitted(run)
    assert run.costs.total_usd == 0


def test_a_training_that_has_cost_too_much_is_cancelled(app: App) -> None:
    app.cloud.stub(seconds=600, in_step=True)
    run = running(app, budgeted(app, max_per_run=4))
    eventually(lambda: any(step["startTimeUtc"] for step in app.services.plane.steps(run.id)))
    app.clock.forward(hours=1)
    run = app.advance(run)
    assert run.state == RunState.TRAINING  # 3.67 USD
    app.clock.forward(minutes=10)
    run = app.until(run, "failed")
    assert run.failure is not None
    assert run.failure.reason == "over_budget"
    # 70 minutes; the emulator's own clock, by which the job ends, knows nothing of them.
    assert re.search(r"has cost 4\.\d\d USD, which is more than max_per_run, 4\.00 USD", run.failure.message)
    assert run.costs.spells[0].ended_at is not None
    assert app.job_status(run.id) in ("CancelRequested", "Canceled")
    assert app.jobs_of(run) == [run.id]


def test_hours_in_which_the_job_waits_for_machines_cost_nothing(app: App) -> None:
    app.cloud.stub(seconds=600)
    first = running(app, budgeted(app, max_per_run=4))  # its steps wait
    second = app.until(budgeted(app, max_per_run=4), "training")  # the emulator runs one job at a time
    app.clock.forward(hours=10)
    for run in (first, second):
        waiting = app.advance(run)
        assert waiting.state == RunState.TRAINING
        assert waiting.costs.at(app.clock()).training_usd == pytest.approx(0, abs=0.1)
        actions.cancel(app.services, run.id)


def test_what_a_run_has_cost_is_kept_when_it_moves_on(app: App) -> None:
    run = app.one_live(options=PHI)
    (training, endpoint) = run.costs.spells
    assert (training.name, training.measured) == (run.id, True)
    assert training.ended_at is not None
    assert (endpoint.name, endpoint.ended_at) == (f"{run.endpoint}/{run.deployment}", None)
    live = run.costs.at(endpoint.started_at.replace(year=endpoint.started_at.year + 1))
    assert live.endpoint_usd == pytest.approx(365 * 24 * 3.673, rel=1e-3)
    assert live.training_usd == pytest.approx(training.usd(training.ended_at), abs=1e-4)


def test_what_a_run_costs_is_shown_as_of_now(app: App) -> None:
    run = app.until(app.received(options=PHI), "training")
    shown = [json.loads(http_api.show_run(request(run)).get_body())["costs"] for _ in range(2)]
    assert shown[0]["as_of"] < shown[1]["as_of"]
    assert shown[0]["training_usd"] is not None
    assert shown[0]["training_usd"] <= shown[1]["training_usd"]
    actions.cancel(app.services, run.id)


def request(run: Run) -> func.HttpRequest:
    return func.HttpRequest(method="GET", url="/api/x", params={}, route_params={"run_id": run.id}, body=b"")


def test_the_cost_of_a_size_without_a_list_price_is_unknown_and_not_nothing(app: App) -> None:
    run = app.one_live()
    costs = run.costs.at(app.clock())
    assert (costs.training_usd, costs.endpoint_usd, costs.total_usd) == (None, None, None)
    assert costs.unknown == ["Standard_F4s_v2"]
    assert costs.sentence() in app.blob_json("runs", f"{run.id}/status.json")["summary"]


# --- quota


def test_no_quota_to_serve_is_said_before_the_training(app: App) -> None:
    limits(app, {"dedicated": {DS_FAMILY: 7}})
    run = app.advance(app.received(options={"deploy": {"instance_type": "Standard_DS3_v2"}}))
    assert run.hold is not None
    assert (run.state, run.hold.reason) == ("held", "serving_quota")
    assert "Serving on 1 x Standard_DS3_v2 needs 8 cores of Standard DSv2 Family" in run.hold.message
    app.assert_nothing_submitted(run)
    run = app.until(approve(app, run), "training")
    actions.cancel(app.services, run.id)


def test_one_size_with_quota_of_several_is_enough(app: App) -> None:
    limits(app, {"dedicated": {DS_FAMILY: 7}})
    sizes = {"deploy": {"instance_type": ["Standard_DS3_v2", "Standard_E4s_v3"]}}
    run = app.until(app.received(options=sizes), "training")
    actions.cancel(app.services, run.id)


def test_no_quota_to_train_holds_the_run(app: App) -> None:
    limits(app, {"dedicated": {F_FAMILY: 3}})
    run = app.advance(app.received(options={"deploy": {"instance_type": "Standard_E4s_v3"}}))
    assert run.hold is not None
    assert (run.state, run.hold.reason) == ("held", "training_quota")
    assert "Ask for at least 4 cores" in run.hold.message
    app.assert_nothing_submitted(run)
    actions.cancel(app.services, run.id)


def test_quota_that_others_use_now_is_waited_for(app: App) -> None:
    limits(app, {"dedicated": {A100_FAMILY: 24}})
    app.cloud.stub(seconds=600)
    first = running(app, app.received(options=PHI))
    second = app.advance(app.received(options=PHI))
    assert second.state == RunState.PREPARED
    assert second.waiting_for is not None
    assert second.waiting_for.startswith("24 cores of Standard NCADSA100v4 Family Cluster Dedicated vCPUs")
    assert second.next_attempt_at is not None
    assert second.id not in app.services.store.due(app.clock())
    app.assert_nothing_submitted(second)
    actions.cancel(app.services, first.id)
    app.cloud.stub()
    second = app.until(second, "live", "failed", "held")
    assert second.state == RunState.LIVE, second.failure
    app.assert_one_of_everything(second)


def test_a_job_that_holds_the_quota_itself_is_not_waited_for(app: App) -> None:
    """A worker may die between the submit and the record of it."""
    limits(app, {"dedicated": {A100_FAMILY: 24}})
    app.cloud.stub(seconds=600)
    run = running(app, app.received(options=PHI))
    with app.services.store.claim(run.id) as claim:
        claim.run.state, claim.run.job_status = RunState.PREPARED, None
    run = app.advance(run)
    assert run.state == RunState.TRAINING
    assert app.jobs_of(run) == [run.id]
    actions.cancel(app.services, run.id)


def test_a_large_dataset_has_its_price_estimated_when_the_job_has_prepared_it(app: App) -> None:
    small = app.configured(PREPARE_IN_FUNCTION_MAX_MB="0")
    run = small.until(small.received(conversations(30), options=PHI), "training")
    assert run.estimate is not None
    assert (run.estimate.from_report, run.estimate.usd_high) == (False, None)
    assert "The job itself prepares the dataset" in run.estimate.unknown[0]
    run = small.until(run, "live", "failed")
    assert run.estimate is not None
    assert run.state == RunState.LIVE, run.failure


def test_a_large_dataset_waits_for_approval_when_there_is_a_budget(app: App) -> None:
    small = app.configured(PREPARE_IN_FUNCTION_MAX_MB="0", HOLD_ABOVE="1000")
    run = small.until(small.received(options=PHI), "held", "training", "failed")
    assert run.hold is not None
    assert run.hold.reason == "budget"
    assert "The job itself prepares the dataset" in run.hold.message
    actions.cancel(app.services, run.id)
