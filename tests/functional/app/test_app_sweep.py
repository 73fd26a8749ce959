"""The sweep removes what nobody uses, and nothing else: unknown is not idle, and what is not ours is not touched."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.errors import ActionRefusedError, EndpointNotFoundError
from shared.runs import actions, chat
from shared.runs.record import Run
from shared.settings import Cloud
from shared.sweep import EndpointReport, list_ours, remove_endpoint, sweep
from tests.functional.app.driving import LIFE, TOWN, App, states


def swept(app: App, endpoint: str | None, *, dry_run: bool = False) -> EndpointReport | None:
    """Sweep, and return what was found of one endpoint."""
    report = sweep(app.services, trigger="test", dry_run=dry_run)
    assert report.dry_run is dry_run
    return next((one for one in report.endpoints if one.endpoint == endpoint), None)


def put_endpoint(app: App, name: str, **tags: str) -> None:
    sent = {"location": "eastus", "tags": tags, "properties": {"authMode": "Key"}}
    assert app.azure("PUT", f"onlineEndpoints/{name}", sent).status_code == 201


def gone(app: App, run: Run) -> bool:
    deadline = time.monotonic() + 5
    while app.endpoint(run) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    return app.endpoint(run) is None


def test_an_idle_endpoint_is_removed_and_its_run_retired_once(app: App) -> None:
    run = app.one_live()
    app.clock.forward(hours=8, minutes=5)
    planned = swept(app, run.endpoint, dry_run=True)
    assert planned is not None
    assert (planned.action, planned.reason, planned.requests) == ("would_remove", "no request in the last 8 h", 0)
    assert app.run(run).state == "live"
    assert app.endpoint(run) is not None
    with app.services.store.claim(run.id):  # a worker is at the run: left to the next sweep
        busy = swept(app, run.endpoint)
        assert busy is not None
        assert (busy.action, "try again" in busy.reason) == ("error", True)
        assert app.endpoint(run) is not None
    done = swept(app, run.endpoint)
    assert done is not None
    assert (done.action, done.run, done.project) == ("removed", run.id, run.project)
    assert gone(app, run)
    run = app.run(run)
    assert states(run) == [*LIFE, "retired"]
    assert run.history[-1].reason == "no request in the last 8 h"
    assert app.blob_json("runs", f"{run.id}/status.json")["state"] == "retired"
    assert app.versions(str(run.model_name)) == [run.model_version]
    assert swept(app, run.endpoint) is None
    assert states(app.run(run)) == [*LIFE, "retired"]
    with pytest.raises(ActionRefusedError, match="is retired"):
        chat.chat(app.services, run.id, [{"role": "user", "content": TOWN}], {})


def test_an_endpoint_that_is_used_is_kept(app: App) -> None:
    app.clock.offset = timedelta(hours=-10)
    run = app.one_live()
    app.clock.offset = timedelta()
    for _ in range(2):
        chat.chat(app.services, run.id, [{"role": "user", "content": TOWN}], {})
    found = swept(app, run.endpoint)
    assert found is not None
    assert run.smoke_test is not None
    requests = run.smoke_test["asked"] + 2
    assert (found.action, found.requests) == ("kept", requests)
    assert found.reason == f"{requests} requests in the last 8 h"
    assert app.run(run).state == "live"


def test_young_endpoints_are_kept_and_runs_have_a_patience_of_their_own(app: App) -> None:
    hasty, kept, patient = app.live(
        app.received(options={"idle_after": "5m"}), app.received(yaml="keep: true\n"), app.received()
    )
    app.clock.forward(minutes=20)  # longer than it may be idle, shorter than any endpoint's grace
    young = swept(app, hasty.endpoint)
    assert young is not None
    assert (young.action, young.reason) == ("kept", "only 20 min old")
    app.clock.forward(hours=3)
    report = {one.endpoint: one for one in sweep(app.services, trigger="test").endpoints}
    assert report[str(hasty.endpoint)].action == "removed"
    assert report[str(hasty.endpoint)].reason == "no request in the last 5 min"
    assert report[str(patient.endpoint)].reason == "only 3 h old"
    app.clock.forward(hours=100)
    report = {one.endpoint: one for one in sweep(app.services, trigger="test").endpoints}
    assert (report[str(kept.endpoint)].action, report[str(kept.endpoint)].reason) == ("kept", "kept by option")
    assert report[str(patient.endpoint)].action == "removed"
    assert [app.run(run).state for run in (hasty, kept, patient)] == ["retired", "live", "retired"]


def test_an_endpoint_whose_traffic_is_unknown_is_kept(app: App) -> None:
    run = app.one_live()
    app.clock.forward(hours=9)
    away = Cloud("AzureCloud", {"resource_manager": f"{app.cloud.config.base_url}/nowhere"})
    blind = replace(app.services, settings=replace(app.services.settings, cloud=away))
    found = swept(replace(app, services=blind), run.endpoint)
    assert found is not None
    assert (found.action, found.reason, found.requests) == ("kept", "its traffic is unknown", None)
    assert app.run(run).state == "live"


def test_what_this_app_did_not_make_is_never_touched(app: App) -> None:
    put_endpoint(app, "theirs", owner="somebody")
    put_endpoint(app, "other-apps", **{"finetune.run": "other-20260101000000-01234567"})
    app.clock.forward(days=365)
    theirs, others = swept(app, "theirs"), swept(app, "other-apps")
    assert theirs is not None
    assert others is not None
    assert (theirs.action, theirs.reason) == ("kept", "not made by this app")
    assert (others.action, others.reason) == ("kept", "made by this app, but its run is not known here")
    assert app.endpoint_called("theirs") is not None
    assert app.endpoint_called("other-apps") is not None
    for name in ("theirs", "nobodys"):
        with pytest.raises(EndpointNotFoundError):
            remove_endpoint(app.services, name, trigger="test", reason="x")
    assert "theirs" not in {endpoint.name for endpoint, _ in list_ours(app.services)}


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_an_endpoint_that_an_ended_run_left_over_is_removed(app: App, end: str) -> None:
    if end == "failed":
        app.cloud.faults(deployment={"quota": True})
        run = app.until(app.received(), "failed")
    else:
        run = actions.cancel(app.services, app.until(app.received(), "deploying").id)
    assert run.state == end
    name = str(run.endpoint)
    put_endpoint(app, name, **{"finetune.run": run.id})
    planned = swept(app, name, dry_run=True)
    assert planned is not None
    assert planned.action == "would_remove"
    assert app.endpoint_called(name) is not None
    done = swept(app, name)
    assert done is not None
    assert (done.action, done.reason) == ("removed", f"left over: its run is {end}")
    assert app.endpoint_called(name) is None
    assert states(app.run(run)) == states(run)


def test_an_endpoint_that_carries_the_tag_of_a_run_with_another_endpoint_is_kept(app: App) -> None:
    run = actions.cancel(app.services, app.received().id)
    put_endpoint(app, "copied", **{"finetune.run": run.id})
    found = swept(app, "copied")
    assert found is not None
    assert (found.action, found.reason.startswith(f"carries the tag of run {run.id}")) == ("kept", True)


def test_an_endpoint_whose_run_is_under_way_is_kept(app: App) -> None:
    run = app.until(app.received(), "deploying")
    app.clock.forward(days=2)
    found = swept(app, run.endpoint)
    assert found is not None
    assert (found.action, found.reason) == ("kept", "its run is deploying")
    with pytest.raises(ActionRefusedError, match="cancel"):
        remove_endpoint(app.services, str(run.endpoint), trigger="test", reason="x")
    actions.cancel(app.services, run.id)


def test_a_live_run_whose_endpoint_was_deleted_by_hand_is_retired(app: App) -> None:
    run = app.one_live()
    app.azure("DELETE", f"onlineEndpoints/{run.endpoint}")
    assert gone(app, run)
    sweep(app.services, trigger="test", dry_run=True)
    assert app.run(run).state == "live"
    sweep(app.services, trigger="test")
    retired = app.run(run)
    assert states(retired) == [*LIFE, "retired"]
    assert retired.history[-1].reason == f"endpoint {run.endpoint} was removed outside this app"
