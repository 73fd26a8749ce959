"""What a sweep makes of an endpoint and of each deployment in it, from all that is known of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.azureml.endpoints import Deployment, Endpoint
from shared.azureml.pipeline import RUN_TAG
from shared.idle.decision import Do
from shared.idle.findings import Warned
from shared.idle.policy import OPT_IN_TAG, Action, Policy
from shared.idle.windows import Blackouts, BusinessHours
from shared.runs.parts import DatasetVersion, Removal
from shared.runs.record import Run, new_run
from shared.runs.states import MOVING, RunState
from shared.sweeps.census import Seen
from shared.sweeps.judging import OWN_CHANGE, Verdict, judge, judge_deployments
from shared.sweeps.memory import Memory
from shared.traffic.readings import Counted, Reading, Unread

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
S, MIN, H, D = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONG_AGO = NOW - 10 * D
POLICY = Policy(idle_after=8 * H, grace=H, warn_for=H, action=Action.DELETE_ENDPOINT)
NAME, RUN = "bot-0123abcd", "bot-20261114000000-0123abcd"
OURS, OPTED_IN = {RUN_TAG: RUN}, {OPT_IN_TAG: "true"}
KEEP, WARN, WAIT, ACT, CALL_OFF = Do.KEEP, Do.WARN, Do.WAIT, Do.ACT, Do.CALL_OFF


def run(state: RunState = RunState.LIVE, **given: Any) -> Run:
    dataset = DatasetVersion(container="datasets", blob="bot/a.jsonl", etag="0x1", modified_at=LONG_AGO, size=1)
    found = new_run(RUN, "bot", dataset, {}, now=LONG_AGO, trigger="blob")
    found.state, found.endpoint, found.deployment = state, NAME, "blue"
    for name, value in given.items():
        setattr(found, name, value)
    return found


def removed(action: Action) -> Removal:
    again = f"POST /api/runs/{RUN}/deploy"
    return Removal(at=NOW - D, action=str(action), code="idle", reason="r", endpoint=NAME, bring_back=again)


def endpoint(tags: dict[str, str] = OURS, **given: Any) -> Endpoint:
    found = Endpoint(NAME, "/id", "Succeeded", None, {"blue": 100}, tags, created_at=LONG_AGO, changed_at=LONG_AGO)
    return replace(found, **given)


def deployment(name: str = "blue", tags: dict[str, str] = OURS, **given: Any) -> Deployment:
    found = Deployment(name, "Succeeded", "Standard_X", tags, 1, created_at=LONG_AGO, changed_at=LONG_AGO)
    return replace(found, **given)


def reading(*requests: tuple[str, timedelta], connected: timedelta | None = None) -> Reading:
    """Return requests by deployment and how long ago; blue and green report until now."""
    counted = [Counted(NOW - ago, name, "200", 1) for name, ago in requests]
    connected_at = None if connected is None else NOW - connected
    return Reading(counted, connected_at, {"blue": NOW, "green": NOW}, 0)


def warned(ago: timedelta, action: Action = Action.DELETE_ENDPOINT) -> Warned:
    return Warned(at=NOW - ago, act_after=NOW - ago + H, action=action)


def memory(**given: Any) -> Memory:
    return Memory(endpoint=NAME, **given)


def seen(tags: dict[str, str] = OURS, **given: Any) -> Seen:
    """Return a live run's endpoint, idle for days, with one deployment; `given` says what differs."""
    is_ours = RUN_TAG in tags
    usual: dict[str, Any] = {
        "endpoint": endpoint(tags),
        "is_ours": is_ours,
        "run": run() if is_ours else None,
        "policy": POLICY,
        "memory": memory(),
        "deployments": [deployment()],
        "reading": reading(),
    }
    return Seen(**{**usual, **given})


def judged(one: Seen, scope: str = "app") -> tuple[Do, str]:
    found = judge(one, scope, NOW)
    return found.do, found.code


def beside(one: Seen, scope: str = "app") -> list[Verdict]:
    return list(judge_deployments(one, scope, NOW))


# --- endpoints nobody may touch


@pytest.mark.parametrize(
    ("one", "scope", "code", "part"),
    [
        (seen(fault="Azure answered 403"), "app", "error", "Azure answered 403"),
        (seen(OPTED_IN, fault="Azure answered 403"), "workspace", "error", "403"),
        (seen({}), "app", "not_ours", "not made by this app"),
        (seen(OPTED_IN), "app", "not_ours", "not made by this app"),
        (seen({}), "workspace", "not_ours", "without the tag finetune.sweep=true"),
        (seen({OPT_IN_TAG: "false"}), "workspace", "not_ours", "without the tag"),
        (seen({OPT_IN_TAG: "yes"}), "workspace", "not_ours", "without the tag"),
        (seen(OPTED_IN, endpoint=endpoint(OPTED_IN, state="Deleting")), "workspace", "going", "is being deleted"),
        (seen(run=None), "app", "unknown_run", "its run is not known here"),
        (seen(run=None), "workspace", "unknown_run", "its run is not known here"),
        (seen({**OURS, **OPTED_IN}, run=None), "workspace", "unknown_run", "not known here"),
        (seen(run=run(endpoint="other-1")), "app", "copied_tag", f"tag of run {RUN}, whose endpoint is another one"),
        (seen(run=run(RunState.FAILED, endpoint=None)), "app", "copied_tag", "another one"),
        (seen(endpoint=endpoint(state="Deleting")), "app", "going", "is being deleted"),
        (seen(run=run(RunState.FAILED), endpoint=endpoint(state="Deleting")), "app", "going", "is being deleted"),
        *((seen(run=run(state), deployments=[]), "app", "under_way", f"run is {state}") for state in sorted(MOVING)),
        (seen(run=run(cancel_requested=True)), "app", "under_way", "its run is live"),
        (seen(run=run(RunState.HELD, cancel_requested=True)), "app", "under_way", "its run is held"),
        (seen(rollout="bot-2"), "app", "rollout", "run bot-2 is being rolled out on it"),
        (seen(run=run(RunState.RETIRED), rollout="bot-2", deployments=[]), "app", "rollout", "rolled out"),
    ],
)
def test_endpoint_is_left_alone_with_all_in_it(one: Seen, scope: str, code: str, part: str) -> None:
    one = replace(one, memory=memory(warned=warned(2 * H)), deployments=[*(one.deployments or ()), deployment("green")])
    found = judge(one, scope, NOW)
    assert (found.do, found.code) == (KEEP, code)
    assert part in found.reason
    assert beside(one, scope) == []


def test_case_of_an_endpoints_name_and_of_the_opt_in_does_not_matter() -> None:
    assert judged(seen(run=run(endpoint=NAME.upper()))) == (WARN, "idle")
    assert judged(seen({OPT_IN_TAG: "True"}), "workspace") == (WARN, "idle")


# --- endpoints judged by their use


DUE = memory(warned=warned(2 * H))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (WARN, "idle")),
        ({"memory": DUE}, (ACT, "idle")),
        ({"memory": memory(warned=warned(H / 2))}, (WAIT, "idle")),
        ({"reading": reading(("blue", H))}, (KEEP, "in_use")),
        ({"reading": reading(("blue", H)), "memory": DUE}, (CALL_OFF, "in_use")),
        ({"reading": reading(("green", H))}, (KEEP, "in_use")),
        ({"reading": reading(connected=MIN)}, (KEEP, "connected")),
        ({"reading": Unread("Azure Monitor is away")}, (KEEP, "unknown")),
        ({"reading": Unread("Azure Monitor is away"), "memory": DUE}, (WAIT, "unknown")),
        ({"reading": Reading([], None, {}, 0)}, (KEEP, "unknown")),
        ({"policy": replace(POLICY, keep=True), "memory": DUE}, (CALL_OFF, "kept")),
        ({"policy": replace(POLICY, unreadable=("tag x",))}, (KEEP, "unreadable")),
        ({"run": run(state_since=NOW - 8 * H + S)}, (KEEP, "young")),
        ({"run": run(state_since=NOW - 8 * H)}, (WARN, "idle")),
        ({"endpoint": endpoint(changed_at=NOW - H + S)}, (KEEP, "changed")),
        ({"deployments": [deployment(changed_at=NOW - H + S)]}, (KEEP, "changed")),
        ({"endpoint": endpoint(created_at=None, changed_at=None)}, (WARN, "idle")),
        ({"policy": replace(POLICY, action=Action.SCALE_DOWN)}, (KEEP, "at_minimum")),
        (
            {"policy": replace(POLICY, action=Action.SCALE_DOWN), "deployments": [deployment(instance_count=2)]},
            (WARN, "idle"),
        ),
        ({"deployments": [deployment("red")], "endpoint": endpoint(traffic={"red": 100})}, (WARN, "idle")),
    ],
)
def test_live_runs_endpoint_is_judged_by_its_use(given: dict[str, Any], expected: tuple[Do, str]) -> None:
    assert judged(seen(**given)) == expected


def test_verdict_carries_what_it_rests_on() -> None:
    one = seen(policy=replace(POLICY, action=Action.DELETE_DEPLOYMENT), reading=reading(("blue", H)))
    found = judge(one, "app", NOW)
    assert (found.do, found.action, found.deployment, found.act_after) == (KEEP, one.policy.action, None, None)
    assert found.use is not None
    assert found.use.last_request_at == NOW - H
    assert judge(seen(), "app", NOW).act_after == NOW + H
    assert "Azure Monitor is away" in judge(seen(reading=Unread("Azure Monitor is away")), "app", NOW).reason


@pytest.mark.parametrize(
    ("tags", "created_at", "expected"),
    [
        (OPTED_IN, LONG_AGO, (WARN, "idle")),
        (OPTED_IN, NOW - 8 * H + S, (KEEP, "young")),
        (OPTED_IN, None, (KEEP, "unknown")),
    ],
)
def test_endpoint_of_others_that_opted_in_is_judged_by_its_use_and_its_age(
    tags: dict[str, str], created_at: datetime | None, expected: tuple[Do, str]
) -> None:
    assert judged(seen(tags, endpoint=endpoint(tags, created_at=created_at)), "workspace") == expected


@pytest.mark.parametrize(
    ("created_at", "code"), [(LONG_AGO, "empty"), (NOW - 8 * H, "empty"), (NOW - 8 * H + S, "young"), (None, "young")]
)
def test_empty_endpoint_of_others_is_only_reported(created_at: datetime | None, code: str) -> None:
    one = seen(OPTED_IN, endpoint=endpoint(OPTED_IN, created_at=created_at, traffic={}), deployments=[])
    assert judged(one, "workspace") == (KEEP, code)
    assert beside(one, "workspace") == []


@pytest.mark.parametrize(
    ("changed_at", "written_at", "code"),
    [
        (NOW - 5 * MIN, NOW - 5 * MIN, "idle"),
        (NOW - 30 * MIN + OWN_CHANGE, NOW - 30 * MIN, "idle"),
        (NOW - 30 * MIN + OWN_CHANGE + S, NOW - 30 * MIN, "changed"),
        (NOW - 30 * MIN - OWN_CHANGE, NOW - 30 * MIN, "idle"),
        (NOW - 30 * MIN - OWN_CHANGE - S, NOW - 30 * MIN, "changed"),
        (NOW - 5 * MIN, None, "changed"),
        (NOW - 5 * MIN, NOW - D, "changed"),
    ],
)
def test_tag_that_the_sweep_wrote_itself_is_no_change(
    changed_at: datetime, written_at: datetime | None, code: str
) -> None:
    one = seen(endpoint=endpoint(changed_at=changed_at), memory=memory(written_at=written_at))
    assert judge(one, "app", NOW).code == code


def test_deployment_that_somebody_changed_begins_the_grace_anew_though_the_sweep_has_just_written_a_tag() -> None:
    written, changed = NOW - 30 * MIN, NOW - 25 * MIN
    one = seen(
        endpoint=endpoint(changed_at=written),
        memory=memory(written_at=written),
        deployments=[deployment(changed_at=changed)],
    )
    assert judge(one, "app", NOW).code == "changed"


# --- endpoints of runs that have ended, or have lost their deployment


NOT_SERVED = endpoint(traffic={"blue": 0})


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED, RunState.REJECTED, RunState.RETIRED])
@pytest.mark.parametrize("deployments", [[], [deployment()]])
def test_what_an_ended_run_left_over_is_removed_without_a_warning(state: RunState, deployments: Any) -> None:
    found = judge(seen(run=run(state), endpoint=NOT_SERVED, deployments=deployments), "app", NOW)
    assert (found.do, found.code, found.action) == (ACT, "left_over", Action.DELETE_ENDPOINT)
    assert found.reason == f"left over: its run is {state}"


def test_what_is_left_over_but_serves_is_judged_by_its_use() -> None:
    failed = run(RunState.FAILED)
    assert judged(seen(run=failed)) == (WARN, "idle")
    assert judged(seen(run=failed, reading=reading(("blue", H)))) == (KEEP, "in_use")
    assert judged(seen(run=failed, endpoint=endpoint(created_at=NOW - H))) == (KEEP, "young")
    assert judged(seen(run=failed, deployments=[], reading=Unread("it was not read"))) == (KEEP, "unknown")


def test_endpoint_without_its_deployment_keeps_its_address_until_it_is_brought_back() -> None:
    emptied = run(RunState.RETIRED, removal=removed(Action.DELETE_DEPLOYMENT))
    none = seen(run=emptied, endpoint=endpoint(traffic={}), deployments=[])
    assert judged(none) == (KEEP, "emptied")
    assert f"POST /api/runs/{RUN}/deploy brings it back" in judge(none, "app", NOW).reason
    going = replace(none, endpoint=NOT_SERVED, deployments=[deployment(state="Deleting")])
    assert judged(going) == (KEEP, "going")
    still_there = judge(replace(going, deployments=[deployment()]), "app", NOW)
    assert (still_there.do, still_there.code) == (ACT, "left_over")
    assert (still_there.action, still_there.deployment) == (Action.DELETE_DEPLOYMENT, "blue")


def test_endpoint_of_a_run_retired_with_all_of_it_is_left_over() -> None:
    retired = run(RunState.RETIRED, removal=removed(Action.DELETE_ENDPOINT))
    assert judged(seen(run=retired, endpoint=NOT_SERVED)) == (ACT, "left_over")


def test_live_runs_endpoint_whose_deployment_somebody_removed_goes() -> None:
    found = judge(seen(endpoint=endpoint(traffic={}), deployments=[]), "app", NOW)
    assert (found.do, found.code, found.action) == (ACT, "empty", Action.DELETE_ENDPOINT)
    assert found.reason == f"deployment {NAME}/blue was removed outside this app"
    unserved = seen(endpoint=endpoint(traffic={"red": 0}), deployments=[deployment("red")])
    assert judged(unserved) == (ACT, "empty")


def test_deployments_that_were_not_asked_for_are_not_taken_for_removed() -> None:
    assert judged(seen(endpoint=endpoint(traffic={}), deployments=None, reading=Unread("x"))) == (KEEP, "unknown")


@pytest.mark.parametrize("kept", [{"keep": True}, {"unreadable": ("tag finetune.keep is 'x'",)}])
def test_kept_endpoint_stays_even_if_somebody_removed_its_deployment(kept: dict[str, Any]) -> None:
    one = seen(endpoint=endpoint(traffic={}), deployments=[], policy=replace(POLICY, **kept))
    assert judge(one, "app", NOW).do == KEEP


HOLIDAYS = Blackouts.parse("2026-11-24T12:00Z/2026-11-24T13:00Z")


def test_nothing_at_all_is_removed_in_a_blackout() -> None:
    calm = replace(POLICY, blackouts=HOLIDAYS)
    left_over = seen(run=run(RunState.FAILED), endpoint=NOT_SERVED, policy=calm)
    empty = seen(endpoint=endpoint(traffic={}), deployments=[], policy=calm)
    broken = seen(deployments=[deployment(), deployment("green", state="Failed")], policy=calm)
    assert judged(left_over) == judged(empty) == (KEEP, "blackout")
    assert judged(seen(memory=DUE, policy=calm)) == (WAIT, "blackout")
    assert [(found.do, found.code, found.deployment) for found in beside(broken)] == [(KEEP, "blackout", "green")]


# --- deployments beside the one that answers


def two(green: Deployment | None = None, tags: dict[str, str] = OURS, **given: Any) -> Seen:
    """Return an endpoint whose blue deployment answers, with a green one beside it."""
    return seen(tags, **{"deployments": [deployment(), green or deployment("green")], **given})


def of_green(**given: Any) -> dict[str, Memory]:
    return {"green": memory(deployment="green", **given)}


GREEN_DUE = of_green(warned=warned(2 * H, Action.DELETE_DEPLOYMENT))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (two(reading=reading(("blue", MIN))), (WARN, "idle")),
        (two(reading=reading(("blue", MIN)), of_deployments=GREEN_DUE), (ACT, "idle")),
        (two(reading=reading(("green", MIN)), of_deployments=GREEN_DUE), (CALL_OFF, "in_use")),
        (two(of_deployments=of_green(warned=warned(H / 2, Action.DELETE_DEPLOYMENT))), (WAIT, "idle")),
        (two(memory=DUE), (WARN, "idle")),  # the endpoint's warning is not the deployment's
        (two(reading=Unread("x"), of_deployments=GREEN_DUE), (WAIT, "unknown")),
        (two(reading=Reading([], None, {"blue": NOW}, 0)), (KEEP, "unknown")),
        (two(reading=reading(connected=MIN)), (WARN, "idle")),  # connections are not told by deployment
        (two(deployment("green", created_at=NOW - 8 * H + S)), (KEEP, "young")),
        (two(deployment("green", created_at=None)), (KEEP, "unknown")),
        (two(deployment("green", changed_at=NOW - MIN)), (KEEP, "changed")),
        (two(deployment("green", state="Deleting"), of_deployments=GREEN_DUE), (KEEP, "going")),
        (two(policy=replace(POLICY, keep=True)), (KEEP, "kept")),
        (two(policy=replace(POLICY, unreadable=("tag x",))), (KEEP, "unreadable")),
        (two(policy=replace(POLICY, expires_at=NOW - D), reading=reading(("green", MIN))), (KEEP, "in_use")),
        (two(policy=replace(POLICY, action=Action.REPORT), of_deployments=GREEN_DUE), (CALL_OFF, "report_only")),
        (two(policy=replace(POLICY, action=Action.SCALE_DOWN)), (WARN, "idle")),
        (
            two(policy=replace(POLICY, hours=BusinessHours.parse("tue 12:00-13:00 UTC")), of_deployments=GREEN_DUE),
            (WAIT, "business_hours"),
        ),
        (two(deployment("green", tags={})), (KEEP, "report_only")),
        (two(deployment("green", tags={}, state="Failed")), (KEEP, "report_only")),
        (two(deployment("green", tags={}), of_deployments=GREEN_DUE), (CALL_OFF, "report_only")),
        (two(deployment("green", state="Failed")), (ACT, "broken")),
        (two(deployment("green", state="Canceled")), (ACT, "broken")),
        (two(deployment("green", state="Failed", changed_at=NOW - H)), (ACT, "broken")),
        (two(deployment("green", state="Failed", changed_at=NOW - H + S)), (KEEP, "changed")),
        (two(deployment("green", state="Failed", changed_at=None, created_at=NOW - H)), (ACT, "broken")),
        (two(deployment("green", state="Failed", changed_at=None, created_at=None)), (KEEP, "unknown")),
        (two(deployment("green", state="Failed"), policy=replace(POLICY, keep=True)), (KEEP, "kept")),
        (two(deployment("green", state="Failed"), policy=replace(POLICY, unreadable=("x",))), (KEEP, "unreadable")),
    ],
)
def test_deployment_without_traffic_is_judged_by_itself(one: Seen, expected: tuple[Do, str]) -> None:
    (found,) = beside(one)
    assert (found.do, found.code) == expected
    assert found.deployment == "green"
    if found.do in (ACT, WARN):
        assert found.action == Action.DELETE_DEPLOYMENT


def test_idle_green_is_warned_of_beside_a_busy_blue() -> None:
    one = two(reading=reading(("blue", MIN)))
    assert judged(one) == (KEEP, "in_use")
    (green,) = beside(one)
    assert (green.do, green.act_after) == (WARN, NOW + H)
    assert green.reason.startswith("without a share of the traffic: no request in the last 8 h")


def test_foreign_deployment_is_removed_only_where_the_whole_endpoint_opted_in() -> None:
    foreign = deployment("green", tags={})
    (in_ours,) = beside(two(foreign), "workspace")
    (in_theirs,) = beside(two(foreign, OPTED_IN), "workspace")
    assert (in_ours.code, in_theirs.code) == ("report_only", "idle")


@pytest.mark.parametrize(
    "one",
    [
        seen(),
        two(endpoint=endpoint(traffic={"blue": 90, "green": 10})),
        two(run=run(RunState.FAILED)),
        two(run=run(RunState.RETIRED)),
        seen(deployments=[]),
        seen(deployments=None),
    ],
)
def test_deployment_that_answers_or_whose_run_has_ended_is_not_judged_by_itself(one: Seen) -> None:
    assert beside(one) == []


def test_endpoint_of_others_stands_for_its_deployment_with_most_traffic() -> None:
    names = [deployment(name, {}) for name in ("blue", "green", "red")]
    one = seen(OPTED_IN, endpoint=endpoint(OPTED_IN, traffic={"blue": 0, "green": 100}), deployments=names)
    assert [found.deployment for found in beside(one, "workspace")] == ["blue", "red"]
