"""Blue/green: one endpoint for a project, on which a new model replaces the live one, or goes without a trace."""

import json
import time
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest

from shared.azureml import endpoints
from shared.errors import EndpointBusyError
from shared.evaluation.results import CANDIDATE, Results, Score
from shared.runs import actions, chat, endpoint_lock
from shared.runs.lifecycle import advance
from shared.runs.record import Run
from shared.sweeps.by_hand import remove_endpoint
from shared.sweeps.sweep import sweep
from tests.functional.app.driving import TOWN, App, states
from tests.functional.app.mortal import DiedError, mortal
from tests.functional.app.rollouts import Clients, deployments, new_project, one_live, tag, traffic, trained


def settled(app: App, endpoint: str | None, names: set[str]) -> bool:
    """Wait until an endpoint has these deployments."""
    deadline = time.monotonic() + 60
    while set(deployments(app, endpoint)) != names and time.monotonic() < deadline:
        time.sleep(0.05)
    return set(deployments(app, endpoint)) == names


def ask(app: App, run: Run) -> str:
    return chat.chat(app.services, run.id, [{"role": "user", "content": TOWN}], {}).text


def test_a_second_model_takes_the_place_of_the_first_at_the_same_endpoint(app: App) -> None:
    project = new_project()
    first = one_live(app, project, answer="The old answer is Tobias Crane.")
    assert (first.deployment, traffic(app, first.endpoint)) == ("blue", {"blue": 100})
    second = one_live(app, project, answer="The new answer is Tobias Crane.")
    assert (second.endpoint, second.deployment) == (first.endpoint, "green")
    assert traffic(app, second.endpoint) == {"green": 100}
    assert deployments(app, second.endpoint) == {"green": second.id}
    assert tag(app, second.endpoint) == second.id
    assert ask(app, second) == "The new answer is Tobias Crane."
    old = app.run(first)
    assert (old.state, old.history[-1].reason) == ("retired", f"replaced by run {second.id}")
    assert second.rollout is not None
    assert [step.percent for step in second.rollout.steps] == [10, 50, 100]
    third = one_live(app, project)
    assert (third.deployment, third.endpoint, app.run(second).state) == ("blue", first.endpoint, "retired")
    assert deployments(app, third.endpoint) == {"blue": third.id}


def test_what_others_set_on_the_endpoint_survives_a_rollout(app: App) -> None:
    project = new_project()
    first = one_live(app, project, endpoint=f"{project}-endpoint")
    assert first.endpoint == f"{project}-endpoint"
    seen = app.endpoint(first)
    assert seen is not None
    seen["tags"]["cost-centre"] = "4711"
    seen["properties"]["description"] = "Ours."
    seen["properties"]["properties"] = {"team": "support"}
    assert app.azure("PUT", f"onlineEndpoints/{first.endpoint}", seen).status_code == 201
    second = one_live(app, project, endpoint=f"{project}-endpoint")
    after = app.endpoint(second)
    assert after is not None
    assert (after["tags"]["cost-centre"], after["properties"]["description"]) == ("4711", "Ours.")
    assert after["properties"]["properties"]["team"] == "support"
    assert "createdBy" not in after["properties"]["properties"]
    assert after["properties"]["authMode"] == "Key"
    assert after["identity"]["type"] == "SystemAssigned"
    assert after["tags"]["finetune.run"] == second.id


@pytest.mark.parametrize(
    ("answer", "deploy", "message"),
    [
        ("", {}, "answers are empty"),
        ("Nobody knows.", {"min_similarity": 0.5}, "deploy.min_similarity asks for 0.5"),
    ],
)
def test_a_worse_model_never_gets_traffic_and_the_old_one_stays_untouched(
    app: App, answer: str, deploy: dict[str, Any], message: str
) -> None:
    project = new_project()
    first = one_live(app, project, answer="The mayor is the old one.")
    before = app.endpoint(first)
    worse = trained(app, project, answer, **deploy)
    with Clients(app, first) as clients:
        worse = app.until(worse, "live", "failed")
    assert worse.state == "failed"
    assert worse.failure is not None
    assert (worse.failure.reason, worse.failure.state) == ("smoke_test_failed", "verifying")
    assert message in worse.failure.message
    assert settled(app, first.endpoint, {"blue"})
    assert app.endpoint(first) == before  # not a single PUT
    assert clients.failures == []
    assert set(clients.answers) == {"The mayor is the old one."}
    assert states(app.run(first)) == states(first)
    # The next one finds the place free.
    assert one_live(app, project).deployment == "green"


def test_the_first_run_that_fails_leaves_no_endpoint(app: App) -> None:
    worse = app.until(trained(app, new_project(), ""), "live", "failed")
    assert worse.state == "failed"
    deadline = time.monotonic() + 60
    while app.endpoint(worse) is not None:
        assert time.monotonic() < deadline, "it goes on billing"
        time.sleep(0.05)


def step_on(app: App, run: Run, minutes: float) -> Run:
    """Look at a run some minutes later, until it waits for the end of the next step or is through."""
    app.clock.forward(minutes=minutes)
    deadline = time.monotonic() + 120
    while (seen := app.advance(run)).state == "verifying" and "watched until" not in str(seen.waiting_for):
        assert time.monotonic() < deadline, seen.waiting_for
        time.sleep(0.02)
    return seen


def test_each_step_is_watched_for_its_time_and_recorded(app: App) -> None:
    project = new_project()
    first = one_live(app, project)
    app.clock.offset = timedelta(minutes=-30)
    second = step_on(app, app.until(trained(app, project, canary=[20, 100], bake_minutes=5), "verifying"), 0)
    assert traffic(app, first.endpoint) == {"blue": 80, "green": 20}
    assert "20 % of the traffic" in str(second.waiting_for)
    assert step_on(app, second, 4).state == "verifying"
    assert traffic(app, first.endpoint) == {"blue": 80, "green": 20}
    assert tag(app, first.endpoint) == first.id
    second = step_on(app, second, 2)
    assert (second.state, traffic(app, first.endpoint)) == ("verifying", {"green": 100})
    assert app.run(first).state == "live"
    app.clock.forward(minutes=6)
    second = app.until(second, "live", "failed")
    assert second.rollout is not None
    assert [(step.percent, step.failures) for step in second.rollout.steps] == [(20, 0), (100, 0)]
    assert app.run(first).state == "retired"


def test_a_model_that_breaks_under_real_traffic_gives_it_back(app: App) -> None:
    project = new_project()
    first = one_live(app, project, answer="The mayor is the old one.")
    app.clock.offset = timedelta(minutes=-30)
    broken = trained(app, project, files={"broken.txt": ""}, canary=[50, 100], bake_minutes=10)
    broken = step_on(app, app.until(broken, "verifying"), 0)
    with Clients(app, first, parameters={"real": True}) as clients:
        clients.until(30)
    app.clock.offset *= 0  # the present: what the clients met with is counted in this minute
    broken = app.until(broken, "live", "failed")
    assert broken.failure is not None, broken.state
    assert broken.failure.reason == "rollout_failed"
    assert "With 50 % of the traffic" in broken.failure.message
    assert "requests failed" in broken.failure.message
    assert traffic(app, first.endpoint) == {"blue": 100}
    assert tag(app, first.endpoint) == first.id
    assert settled(app, first.endpoint, {"blue"})
    assert app.run(first).state == "live"
    assert ask(app, first) == "The mayor is the old one."


def test_a_rollout_goes_on_by_its_smoke_test_when_the_metrics_stay_away(app: App) -> None:
    project = new_project()
    one_live(app, project)
    second = app.until(trained(app, project, canary=[100], bake_minutes=5), "verifying")
    app.cloud.faults(requests=[{"path": "Microsoft.Insights/metrics", "status": 400}])
    step_on(app, second, 0)
    app.clock.forward(minutes=6)
    assert "cannot be read" in str(app.advance(second).waiting_for)
    app.clock.forward(minutes=15)
    second = app.until(second, "live", "failed")
    assert second.state == "live"
    assert any("Azure Monitor did not answer" in note for note in second.notes)


def test_two_runs_of_one_project_are_rolled_out_one_after_the_other(app: App) -> None:
    project = new_project()
    one, other = trained(app, project), trained(app, project)
    one = app.until(one, "deploying")
    other = app.advance(other)
    assert other.state == "registered"
    assert other.waiting_for == f"run {one.id}, which is being rolled out on endpoint {one.endpoint}"
    assert other.endpoint is None
    one = app.until(one, "live", "failed")
    other = app.until(other, "live", "failed")
    assert (one.state, other.state, app.run(one).state) == ("live", "live", "retired")
    assert deployments(app, other.endpoint) == {"green": other.id}


def test_a_run_that_is_cancelled_in_the_midst_gives_the_traffic_back(app: App) -> None:
    project = new_project()
    first = one_live(app, project)
    for canary in ([30, 100], [100]):
        second = step_on(app, app.until(trained(app, project, canary=canary, bake_minutes=5), "verifying"), 0)
        assert traffic(app, first.endpoint).get("green") == canary[0]
        actions.cancel(app.services, second.id)
        assert app.until(second, "cancelled").state == "cancelled"
        assert traffic(app, first.endpoint) == {"blue": 100}
        assert tag(app, first.endpoint) == first.id
        assert settled(app, first.endpoint, {"blue"})
        assert app.run(first).state == "live"


def test_an_endpoint_in_the_midst_of_a_rollout_is_left_alone(app: App) -> None:
    project = new_project()
    first = one_live(app, project)
    second = step_on(app, app.until(trained(app, project, canary=[50, 100], bake_minutes=5), "verifying"), 0)
    assert endpoint_lock.holder_of(app.services, str(first.endpoint)) == second.id
    app.clock.forward(hours=20)
    found = {one.name: one for one in sweep(app.services, trigger="test").endpoints}[str(first.endpoint)]
    assert (found.action, found.reason) == ("kept", f"run {second.id} is being rolled out on it")
    with pytest.raises(EndpointBusyError, match=f"Run {second.id} is being rolled out"):
        remove_endpoint(app.services, str(first.endpoint), trigger="test", reason="by hand")
    actions.cancel(app.services, second.id)
    app.until(second, "cancelled")
    assert app.run(first).state == "live"


def test_an_endpoint_of_another_project_is_not_touched(app: App) -> None:
    name = f"{new_project()}-theirs"
    theirs = one_live(app, new_project(), endpoint=name)
    ours = app.until(trained(app, new_project(), endpoint=name), "live", "failed")
    assert ours.failure is not None
    assert ours.failure.reason == "endpoint_taken"
    assert traffic(app, name) == {"blue": 100}
    assert app.run(theirs).state == "live"


def test_without_quota_for_the_first_size_the_next_is_taken_and_recorded(app: App) -> None:
    app.cloud.faults(deployment={"quota": True, "instance_type": "Standard_F4s"})
    run = one_live(app, new_project(), instance_type=["Standard_F4s_v2", "Standard_E4s_v3"])
    assert run.plan is not None
    assert run.plan.serving_instance_type == "Standard_E4s_v3"
    assert any(note.startswith("Not deployed on Standard_F4s_v2") for note in run.notes)
    made = app.azure("GET", f"onlineEndpoints/{run.endpoint}/deployments/blue").json()
    assert made["properties"]["instanceType"] == "Standard_E4s_v3"
    refused = app.until(trained(app, new_project(), instance_type=["Standard_F4s_v2"]), "live", "failed")
    assert refused.failure is not None
    assert refused.failure.reason == "quota"


def test_an_endpoint_for_tokens_is_asked_with_one_of_the_apps_identity(app: App) -> None:
    project = new_project()
    run = one_live(app, project, auth_mode="aad_token")
    seen = app.endpoint(run)
    assert seen is not None
    assert seen["properties"]["authMode"] == "AADToken"
    assert ask(app, run) == "The mayor is Tobias Crane."
    second = one_live(app, project, auth_mode="aad_token")
    seen = app.endpoint(second)
    assert seen is not None
    assert seen["properties"]["authMode"] == "AADToken"
    assert endpoints.credential_of(app.services.azureml, str(second.endpoint)).count(".") == 2  # a JWT, no key


@pytest.mark.parametrize(
    ("counted", "verdict"),
    [(None, "not checked: the training did not say"), (17, "the same for"), (16, "differs for")],
)
def test_the_chat_template_is_compared_where_both_sides_count_tokens(
    app: App, counted: int | None, verdict: str
) -> None:
    run = trained(app, new_project(), files={"usage.txt": "17"})
    if counted is not None:
        rows = app.blob(f"{run.id}/test.jsonl", "prepared").download_blob().readall().decode().splitlines()
        tokens = {json.loads(row)["prompt_id"]: counted for row in rows}
        results = Results(str(run.job_name), models={CANDIDATE: Score(prompt_tokens=tokens)})
        app.blob(f"{run.id}/evaluation.json", "prepared").upload_blob(json.dumps(asdict(results)))
    run = app.until(run, "live", "failed")
    assert run.smoke_test is not None
    assert run.smoke_test["chat_template"].startswith(verdict)
    assert any("chat template" in note for note in run.notes) == (verdict == "differs for")


def test_workers_that_die_at_every_point_of_a_rollout_leave_one_deployment_and_lose_no_request(app: App) -> None:
    app = app.configured(RUN_LEASE="1s")
    project = new_project()
    first = one_live(app, project)
    second = trained(app, project)
    deaths, ticks, state, deadline = 0, 1, second.state, time.monotonic() + 300
    with Clients(app, first) as clients:
        while (seen := app.run(second)).state not in ("live", "failed"):
            assert time.monotonic() < deadline, f"{deaths} died, {seen.state}: {seen.waiting_for}"
            ticks = 1 if seen.state != state else ticks
            state = seen.state
            try:
                advance(mortal(app.services, ticks), second.id, trigger="test")
            except DiedError:
                deaths += 1
                ticks += 1
                app.clock.forward(seconds=1.1)
            else:
                time.sleep(0.05)
    assert seen.state == "live", seen.failure
    assert deaths > 30
    assert clients.failures == []
    assert deployments(app, seen.endpoint) == {"green": second.id}
    assert (traffic(app, seen.endpoint), tag(app, seen.endpoint)) == ({"green": 100}, second.id)
    assert app.run(first).state == "retired"
    assert states(app.run(first)).count("retired") == 1


def test_workers_that_die_at_every_point_of_a_rollback_leave_the_old_model_as_it_was(app: App) -> None:
    app = app.configured(RUN_LEASE="1s")
    project = new_project()
    first = one_live(app, project)
    second = step_on(app, app.until(trained(app, project, canary=[50, 100], bake_minutes=60), "verifying"), 0)
    app.services.store.request_cancel(second.id)
    ticks, deadline = 1, time.monotonic() + 300
    while (seen := app.run(second)).state != "cancelled":
        assert time.monotonic() < deadline, f"{ticks}, {seen.state}: {seen.waiting_for}"
        try:
            advance(mortal(app.services, ticks), second.id, trigger="test")
        except DiedError:
            ticks += 1
            app.clock.forward(seconds=1.1)
        else:
            time.sleep(0.05)
    assert traffic(app, first.endpoint) == {"blue": 100}
    assert tag(app, first.endpoint) == first.id
    assert settled(app, first.endpoint, {"blue"})
    assert app.run(first).state == "live"
