"""A sweep that is cut off, or that Azure answers badly, loses nothing: the next one finishes what was begun."""

from datetime import timedelta
from typing import Any

from local.clock import Clock
from shared.idle.findings import Warned
from shared.idle.policy import Action
from shared.runs.record import Run
from shared.sweeps.memory import Memory, recall, remember
from tests.functional.app.driving import LIFE, TOWN, App, states
from tests.functional.app.test_app_sweep import WARNED, app, cloud, found, gone, pass_time, put_deployment, swept, tag

__all__ = ["app", "cloud"]


def spoil(app: App, **rule: Any) -> None:
    app.cloud.faults(requests=[rule])


def ledger(app: App, run: Run) -> list[tuple[str, float]]:
    rows = app.services.store.table.query_entities("RowKey ge 'saved_' and RowKey lt 'saved`'")
    return [(row["Action"], row["UsdPerHour"]) for row in rows if row["Endpoint"] == run.endpoint]


def ask_deployment(app: App, run: Run) -> None:
    """Ask the deployment itself, as a stranger: it has no share of the traffic."""
    keys = app.azure("POST", f"onlineEndpoints/{run.endpoint}/listKeys").json()
    body = {"input_data": {"input_string": [{"role": "user", "content": TOWN}], "parameters": {}}}
    headers = {"Authorization": f"Bearer {keys['primaryKey']}", "azureml-model-deployment": str(run.deployment)}
    assert app.azure.raw("POST", str(run.scoring_uri), json=body, headers=headers).status_code == 200


def test_a_removal_that_was_not_recorded_is_recorded_by_the_next_sweep_as_what_it_was(app: App) -> None:
    run = app.one_live(options={"idle_warn_for": "0s"})
    pass_time(app, hours=9)
    spoil(app, method="DELETE", path=run.endpoint, status=500, when="after")
    assert found(app, run)[0] == "error"
    app.cloud.faults()
    assert gone(app, run)
    assert (app.run(run).state, ledger(app, run)) == ("live", [])
    pass_time(app, minutes=5)
    assert swept(app, run.endpoint) is None
    retired = app.run(run)
    assert states(retired) == [*LIFE, "retired"]
    assert "no request in the last 8 h" in retired.history[-1].reason
    assert retired.removal is not None
    assert ledger(app, run) == [("removed", 2.5)]


def test_an_endpoint_stays_though_the_deletion_of_its_deployment_was_not_recorded(app: App) -> None:
    run = app.one_live(options={"idle_action": "delete_deployment", "idle_warn_for": "0s"})
    pass_time(app, hours=9)
    assert found(app, run)[0] == "waiting"
    pass_time(app, minutes=1)
    spoil(app, method="DELETE", path="/deployments/", status=500, when="after")
    assert found(app, run)[0] == "error"
    app.cloud.faults()
    pass_time(app, minutes=5)
    assert found(app, run)[0] == "emptied"
    assert app.endpoint(run) is not None
    assert states(app.run(run)) == [*LIFE, "retired"]
    assert ledger(app, run) == [("emptied", 2.5)]


def test_an_endpoint_that_is_asked_while_its_traffic_is_being_taken_away_gets_it_back(app: App) -> None:
    run = app.one_live(options={"idle_action": "delete_deployment", "idle_warn_for": "0s"})
    pass_time(app, hours=9)
    assert found(app, run)[0] == "waiting"
    ask_deployment(app, run)  # or had been asked before: Azure Monitor shows it some minutes later
    pass_time(app, minutes=5)
    assert found(app, run)[0] == "kept"
    seen = app.endpoint(run)
    assert seen is not None
    assert seen["properties"]["traffic"] == {run.deployment: 100}
    assert recall(app.services, str(run.endpoint)).drained == ""
    pass_time(app, hours=9)
    assert found(app, run)[0] == "waiting"
    pass_time(app, minutes=1)
    assert found(app, run)[0] == "emptied"


def test_a_tag_that_was_set_though_azure_said_otherwise_does_not_look_like_anybody_elses_change(app: App) -> None:
    run = app.one_live()
    pass_time(app, hours=9)
    spoil(app, method="PUT", path=run.endpoint, status=500, when="after")
    assert found(app, run)[0] == "error"
    app.cloud.faults()
    assert tag(app, run) is not None
    pass_time(app, minutes=5)
    assert found(app, run)[0] == "waiting"
    pass_time(app, minutes=60)
    assert found(app, run)[0] == "removed"


def test_a_warning_of_an_earlier_life_does_not_hold(app: App) -> None:
    run = app.one_live()
    long_ago = Clock(app.cloud.state_dir).now() - timedelta(days=2)
    warned = Warned(at=long_ago, act_after=long_ago + timedelta(hours=1), action=Action.DELETE_ENDPOINT)
    remember(app.services, Memory(endpoint=str(run.endpoint), warned=warned, told=True, tagged=True))
    pass_time(app, hours=9)
    assert found(app, run)[0] == "warned"
    assert tag(app, run, WARNED) is not None


def test_a_removal_that_azure_throttles_is_done_by_the_same_sweep(app: App) -> None:
    run = app.one_live(options={"idle_warn_for": "0s"})
    pass_time(app, hours=9)
    spoil(app, method="DELETE", path=run.endpoint, status=429, retry_after=1, times=1)
    assert found(app, run)[0] == "removed"
    app.cloud.faults()
    assert gone(app, run)


def test_a_green_beside_a_blue_that_was_deleted_is_not_forgotten(app: App) -> None:
    run = app.one_live(options={"idle_action": "delete_deployment", "idle_warn_for": "0s"})
    put_deployment(app, run.endpoint, "green")
    pass_time(app, hours=9)
    for action in ("waiting", "emptied"):
        assert found(app, run)[0] == action
        pass_time(app, minutes=1)
    pass_time(app, hours=2)  # that was a change of the endpoint
    report = swept(app, run.endpoint, deployment="green")
    assert report is not None
    assert (report.action, report.code) == ("emptied", "idle")
    assert app.azure("GET", f"onlineEndpoints/{run.endpoint}/deployments").json()["value"] == []
    assert found(app, run)[0] == "kept"
