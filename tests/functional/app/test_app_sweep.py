"""The sweep removes what nobody uses, and nothing else: unknown is not idle, and what is not ours is not touched.

App and emulator live by one clock here, which the tests move forward; so metrics, ages and warnings fit together.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine

from local.azurite import Azurite
from local.clock import Clock, advance
from shared.errors import ActionRefusedError, EndpointNotFoundError, SweepBusyError, SweepNotFoundError
from shared.runs import actions, chat
from shared.runs.record import Run
from shared.settings import Cloud as CloudSetting
from shared.sweeps import archive, by_hand, lock
from shared.sweeps.by_hand import list_ours, remove_endpoint
from shared.sweeps.memory import recall
from shared.sweeps.records import EndpointReport
from shared.sweeps.sweep import sweep
from shared.telemetry.ids import WithIds
from shared.traffic import Traffic
from tests.functional.app.cloud import Cloud, started
from tests.functional.app.driving import LIFE, TOWN, App, states

WARNED = "finetune.removal_after"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, azurite: Azurite) -> Iterator[Cloud]:
    """An Azure of this module's own: its clock only moves forward."""
    with started(tmp_path_factory.mktemp("sweeps"), azurite, "simulated") as running:
        yield running


@pytest.fixture
def app(app: App) -> Iterator[App]:
    with time_machine.travel(Clock(app.cloud.state_dir).now(), tick=True) as traveller:
        app.azure.login()
        _travellers[:] = [traveller]
        yield app.configured(PRICES='{"standard_f4s_v2": 2.5}')  # which the list of prices does not have


_travellers: list[time_machine.Traveller] = []


def pass_time(app: App, **span: float) -> None:
    """Let time pass for the emulator, and for this process as the local Functions host does it."""
    advance(app.cloud.state_dir, timedelta(**span), time_machine.escape_hatch.time.time)
    _travellers[0].shift(timedelta(**span))
    app.azure.login()


def swept(
    app: App, endpoint: str | None, *, dry_run: bool = False, deployment: str | None = None
) -> EndpointReport | None:
    """Sweep, and return what was found of one endpoint, or of one deployment of it."""
    report = sweep(app.services, trigger="test", dry_run=dry_run)
    assert report.dry_run is dry_run
    assert archive.find(app.services, report.id) == report
    return next((one for one in report.endpoints if (one.name, one.deployment) == (endpoint, deployment)), None)


def found(app: App, run: Run, **options: Any) -> tuple[str, str]:
    report = swept(app, run.endpoint, **options)
    assert report is not None
    return report.action, report.reason


def ask(app: App, run: Run) -> None:
    """Ask as a stranger: not through the app."""
    keys = app.azure("POST", f"onlineEndpoints/{run.endpoint}/listKeys").json()
    body = {"input_data": {"input_string": [{"role": "user", "content": TOWN}], "parameters": {}}}
    headers = {"Authorization": f"Bearer {keys['primaryKey']}"}
    answer = app.azure.raw("POST", str(run.scoring_uri), json=body, headers=headers)
    assert answer.status_code == 200


def put_endpoint(app: App, name: str, **tags: str) -> None:
    sent = {"location": "eastus", "tags": tags, "properties": {"authMode": "Key"}}
    assert app.azure("PUT", f"onlineEndpoints/{name}", sent).status_code == 201


def put_deployment(app: App, endpoint: str | None, name: str, *, count: int = 1, **tags: str) -> None:
    """Make a deployment like the one that is there, or change it."""
    path = f"onlineEndpoints/{endpoint}/deployments"
    sent = app.azure("GET", path).json()["value"][0]
    sent = {"location": "eastus", "tags": tags or sent["tags"], "sku": sent["sku"], "properties": sent["properties"]}
    sent["sku"]["capacity"] = count
    assert app.azure("PUT", f"{path}/{name}", sent).status_code in (200, 201)
    deadline = time.monotonic() + 120
    while app.azure("GET", f"{path}/{name}").json()["properties"]["provisioningState"] != "Succeeded":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def set_tag(app: App, run: Run, **tags: str | None) -> None:
    seen = app.endpoint(run)
    assert seen is not None
    merged = {**seen["tags"], **tags}
    seen["tags"] = {tag: value for tag, value in merged.items() if value is not None}
    assert app.azure("PUT", f"onlineEndpoints/{run.endpoint}", seen).status_code in (200, 201)


def tag(app: App, run: Run, name: str = WARNED) -> str | None:
    seen = app.endpoint(run)
    return None if seen is None else seen["tags"].get(name)


def gone(app: App, run: Run) -> bool:
    deadline = time.monotonic() + 60
    while app.endpoint(run) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    return app.endpoint(run) is None


def test_an_idle_endpoint_is_warned_of_then_removed_and_its_run_retired_once(app: App) -> None:
    run = app.one_live()
    pass_time(app, hours=8, minutes=2)
    planned = swept(app, run.endpoint, dry_run=True)
    assert planned is not None
    assert (planned.action, planned.code, planned.requests) == ("would_warn", "idle", 0)
    assert planned.usd_per_hour == 2.5
    unpriced = sweep(app.configured().services, trigger="test", dry_run=True)
    assert (unpriced.usd_per_hour, unpriced.unpriced) == (None, ["Standard_F4s_v2"])
    assert tag(app, run) is None
    assert recall(app.services, str(run.endpoint)).warned is None

    warned = swept(app, run.endpoint)
    assert warned is not None
    assert (warned.action, warned.code) == ("warned", "idle")
    assert "no request in the last 8 h" in warned.reason
    assert tag(app, run) is not None
    assert app.run(run).state == "live"
    pass_time(app, minutes=50)
    assert found(app, run)[0] == "waiting"

    pass_time(app, minutes=15)
    with app.services.store.claim(run.id):  # a worker is at the run: left to the next sweep
        action, reason = found(app, run)
        assert (action, "try again" in reason) == ("error", True)
        assert app.endpoint(run) is not None
    assert found(app, run, dry_run=True)[0] == "would_remove"
    done = swept(app, run.endpoint)
    assert done is not None
    assert (done.action, done.run, done.project) == ("removed", run.id, run.project)
    assert gone(app, run)
    retired = app.run(run)
    assert states(retired) == [*LIFE, "retired"]
    assert "no request in the last 8 h" in retired.history[-1].reason
    assert app.blob_json("runs", f"{run.id}/status.json")["state"] == "retired"
    assert app.versions(str(run.model_name)) == [run.model_version]
    assert swept(app, run.endpoint) is None
    assert states(app.run(run)) == [*LIFE, "retired"]
    with pytest.raises(ActionRefusedError, match="is retired"):
        chat.chat(app.services, run.id, [{"role": "user", "content": TOWN}], {})


def test_what_was_removed_comes_back_with_one_call_and_the_ledger_says_what_was_saved(app: App) -> None:
    run = app.one_live()
    pass_time(app, hours=9)
    swept(app, run.endpoint)
    pass_time(app, hours=2)
    assert found(app, run)[0] == "removed"
    removal = app.run(run).removal
    assert removal is not None
    assert (removal.endpoint, removal.action) == (run.endpoint, "delete_endpoint")
    assert removal.bring_back == f"POST /api/runs/{run.id}/deploy"
    assert removal.instance_type
    assert removal.usd_per_hour
    before = archive.summaries(app.services, 1)[0].saved_usd
    assert before is not None
    pass_time(app, hours=10)
    after = sweep(app.services, trigger="test").saved_usd
    assert after is not None
    assert after >= before + 10 * removal.usd_per_hour - 0.5
    assert gone(app, run)
    actions.deploy(app.services, run.id)
    back = app.until(run, "live", "failed")
    assert (back.state, back.endpoint) == ("live", run.endpoint)
    kept = sweep(app.services, trigger="test").saved_usd
    pass_time(app, hours=5)
    again = sweep(app.services, trigger="test").saved_usd
    assert kept is not None
    assert again is not None
    assert again <= kept + 5 * removal.usd_per_hour * 10  # others may be out, this one is back
    assert app.run(run).state == "live"


def test_an_endpoint_that_is_used_is_kept_and_our_own_questions_are_no_use(app: App) -> None:
    run = app.one_live()
    pass_time(app, hours=7, minutes=55)
    chat.chat(app.services, run.id, [{"role": "user", "content": TOWN}], {})
    pass_time(app, minutes=10)  # now our own question has settled
    assert found(app, run)[0] == "warned"
    ask(app, run)
    pass_time(app, minutes=61)
    action, reason = found(app, run)
    assert action == "called_off"
    assert "1 request" in reason
    assert tag(app, run) is None
    assert found(app, run)[0] == "kept"
    assert app.run(run).state == "live"


def test_a_request_that_comes_just_before_the_removal_keeps_the_endpoint(app: App) -> None:
    run = app.one_live()
    pass_time(app, hours=9)
    assert found(app, run)[0] == "warned"
    pass_time(app, minutes=61)
    ask(app, run)
    assert found(app, run)[0] == "called_off"
    assert app.run(run).state == "live"


def test_young_endpoints_are_kept_and_runs_have_a_patience_of_their_own(app: App) -> None:
    hasty, kept, patient = app.live(
        app.received(options={"idle_after": "5m", "idle_warn_for": "0s"}), app.received(yaml="keep: true\n"),
        app.received(),
    )  # fmt: skip
    pass_time(app, minutes=20)  # longer than it may be idle, shorter than any endpoint's grace
    action, reason = found(app, hasty)
    assert (action, "20 min" in reason) == ("kept", True)
    pass_time(app, hours=3)
    report = {one.name: one for one in sweep(app.services, trigger="test").endpoints}
    assert report[str(hasty.endpoint)].action == "removed"
    assert report[str(patient.endpoint)].code == "young"
    pass_time(app, hours=100)
    report = {one.name: one for one in sweep(app.services, trigger="test").endpoints}
    assert (report[str(kept.endpoint)].action, report[str(kept.endpoint)].code) == ("kept", "kept")
    assert report[str(patient.endpoint)].action == "warned"
    assert [app.run(run).state for run in (hasty, kept, patient)] == ["retired", "live", "live"]


def test_what_a_sweep_logs_of_a_run_carries_its_id_project_and_trigger(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    run = app.one_live(options={"idle_warn_for": "0s"})
    pass_time(app, hours=9)
    caplog.handler.addFilter(WithIds())
    with caplog.at_level("INFO", logger="shared"):
        assert found(app, run)[0] == "removed"
    told = f"run {run.id}: live -> retired"
    (line,) = (vars(record) for record in caplog.records if record.getMessage().startswith(told))
    assert (line["finetune.run_id"], line["finetune.project"]) == (run.id, run.project)
    assert line["finetune.trigger"] == "test"


def test_an_endpoint_whose_traffic_is_unknown_is_kept(app: App) -> None:
    run = app.one_live()
    pass_time(app, hours=9)
    metadata = dict(app.services.settings.cloud.metadata or {})
    nowhere = f"{app.cloud.config.base_url}/nowhere"
    away = CloudSetting("AzureCloud", {**metadata, "resource_manager": nowhere}, nowhere)
    settings = replace(app.services.settings, cloud=away)
    blind = replace(app.services, settings=settings, traffic=Traffic(settings))
    report = swept(replace(app, services=blind), run.endpoint)
    assert report is not None
    assert (report.action, report.code, report.requests) == ("kept", "unknown", None)
    assert app.run(run).state == "live"


def test_tags_and_people_keep_endpoints(app: App) -> None:
    tagged, asked, garbled = app.live(app.received(), app.received(), app.received())
    set_tag(app, tagged, **{"finetune.keep": "true"})
    set_tag(app, garbled, **{"finetune.idle_after": "a while"})
    pass_time(app, hours=9)
    by_hand.keep(app.services, str(asked.endpoint), 24)
    report = {one.name: one for one in sweep(app.services, trigger="test").endpoints}
    assert [report[str(run.endpoint)].code for run in (tagged, asked, garbled)] == ["kept", "kept", "unreadable"]
    assert "'a while'" in report[str(garbled.endpoint)].reason
    pass_time(app, hours=25)
    assert found(app, asked)[0] == "warned"
    by_hand.keep(app.services, str(asked.endpoint), 1)
    pass_time(app, minutes=5)
    assert found(app, asked)[0] == "called_off"
    set_tag(app, tagged, **{"finetune.keep": None, "finetune.expires_at": "2020-01-01T00:00Z"})
    pass_time(app, minutes=70)
    assert swept(app, tagged.endpoint).code == "expired"  # type: ignore[union-attr]
    with pytest.raises(EndpointNotFoundError):
        by_hand.keep(app.services, "nobodys", 1)


def test_an_emptied_endpoint_keeps_its_address_and_is_filled_again(app: App) -> None:
    run = app.one_live(options={"idle_action": "delete_deployment", "idle_warn_for": "0s"})
    pass_time(app, hours=9)
    assert found(app, run)[0] == "waiting"  # its traffic is being routed away
    pass_time(app, minutes=1)
    assert found(app, run)[0] == "emptied"
    retired = app.run(run)
    assert (retired.state, retired.removal is not None) == ("retired", True)
    seen = app.endpoint(run)
    assert seen is not None
    assert seen["properties"]["scoringUri"] == run.scoring_uri
    pass_time(app, minutes=5)
    report = swept(app, run.endpoint)
    assert report is not None
    assert (report.action, report.code, report.usd_per_hour) == ("kept", "emptied", 0)
    actions.deploy(app.services, run.id)
    back = app.until(run, "live", "failed")
    assert (back.state, back.endpoint, back.scoring_uri) == ("live", run.endpoint, run.scoring_uri)


def test_an_emptied_endpoint_keeps_its_address_also_when_filling_it_again_fails(app: App) -> None:
    run = app.one_live(options={"idle_action": "delete_deployment", "idle_warn_for": "0s"})
    pass_time(app, hours=9)
    swept(app, run.endpoint)
    pass_time(app, minutes=1)
    assert found(app, run)[0] == "emptied"
    app.cloud.faults(deployment={"message": "ImagePullBackOff"})
    actions.deploy(app.services, run.id)
    failed = app.until(run, "live", "failed")
    assert failed.state == "failed"
    app.cloud.faults()
    pass_time(app, hours=9)
    action, reason = found(app, run)
    assert (action, reason.partition(";")[2]) == ("kept", f" POST /api/runs/{run.id}/retry brings it back")
    deployments = app.azure("GET", f"onlineEndpoints/{run.endpoint}/deployments").json()["value"]
    assert deployments == []
    actions.retry(app.services, run.id)
    back = app.until(run, "live", "failed")
    assert (back.state, back.scoring_uri) == ("live", run.scoring_uri)


def test_an_idle_endpoint_can_be_scaled_down_instead(app: App) -> None:
    run = app.one_live(options={"idle_action": "scale_down", "idle_warn_for": "0s", "deploy": {"instance_count": 3}})
    pass_time(app, hours=9)
    assert found(app, run)[0] == "scaled_down"
    path = f"onlineEndpoints/{run.endpoint}/deployments/{run.deployment}"
    assert app.azure("GET", path).json()["sku"]["capacity"] == 1
    pass_time(app, hours=9)
    report = swept(app, run.endpoint)
    assert report is not None
    assert (report.action, report.code) == ("kept", "at_minimum")
    assert app.run(run).state == "live"


def test_an_idle_green_beside_a_busy_blue_goes_alone(app: App) -> None:
    run = app.one_live()
    put_deployment(app, run.endpoint, "green")
    put_deployment(app, run.endpoint, "theirs", owner="somebody")
    pass_time(app, hours=8, minutes=5)
    ask(app, run)
    beside = swept(app, run.endpoint, deployment="green")
    assert beside is not None
    assert (beside.action, beside.code) == ("warned", "idle")
    pass_time(app, minutes=61)
    ask(app, run)
    beside = swept(app, run.endpoint, deployment="green")
    assert beside is not None
    assert beside.action == "emptied"
    lines = app.services.store.table.query_entities("RowKey ge 'saved_' and RowKey lt 'saved`'")
    (line,) = (line for line in lines if line["Endpoint"] == run.endpoint)
    assert (line["Deployment"], line["UsdPerHour"]) == ("green", 2.5)
    theirs = swept(app, run.endpoint, deployment="theirs")
    assert theirs is not None
    assert (theirs.action, theirs.code) == ("kept", "report_only")
    assert found(app, run)[0] == "kept"
    assert app.run(run).state == "live"


def test_what_this_app_did_not_make_is_never_touched(app: App) -> None:
    put_endpoint(app, "theirs", owner="somebody")
    put_endpoint(app, "other-apps", **{"finetune.run": "other-20260101000000-01234567"})
    pass_time(app, days=30)
    report = {one.name: one for one in sweep(app.services, trigger="test").endpoints}
    assert (report["theirs"].action, report["theirs"].code) == ("kept", "not_ours")
    assert (report["other-apps"].action, report["other-apps"].code) == ("kept", "unknown_run")
    assert app.endpoint_called("theirs") is not None
    assert app.endpoint_called("other-apps") is not None
    for name in ("theirs", "nobodys"):
        with pytest.raises(EndpointNotFoundError):
            remove_endpoint(app.services, name, trigger="test", reason="x")
    assert "theirs" not in {endpoint.name for endpoint, _ in list_ours(app.services)}


def test_others_endpoints_that_opt_in_are_swept_too_if_the_setting_says_so(app: App) -> None:
    run = app.one_live()
    set_tag(app, run, **{"finetune.run": None, "finetune.sweep": "true"})  # as if somebody else had made it
    pass_time(app, hours=9)
    wide = app.configured(SWEEP_SCOPE="workspace", IDLE_WARN_FOR="0s")
    narrow = swept(app, run.endpoint)
    assert narrow is not None
    assert narrow.code == "not_ours"
    done = swept(wide, run.endpoint)
    assert done is not None
    assert (done.action, done.run) == ("removed", None)
    assert gone(app, run)


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
    assert found(app, run, dry_run=True)[0] == "would_remove"
    assert app.endpoint_called(name) is not None
    assert found(app, run) == ("removed", f"left over: its run is {end}")
    assert gone(app, run)
    assert states(app.run(run)) == states(run)


def test_an_endpoint_that_carries_the_tag_of_a_run_with_another_endpoint_is_kept(app: App) -> None:
    run = actions.cancel(app.services, app.received().id)
    put_endpoint(app, "copied", **{"finetune.run": run.id})
    report = swept(app, "copied")
    assert report is not None
    assert (report.action, report.code) == ("kept", "copied_tag")


def test_an_endpoint_whose_run_is_under_way_is_kept(app: App) -> None:
    run = app.until(app.received(), "deploying")
    report = swept(app, run.endpoint)
    if report is not None:
        assert (report.action, report.reason) == ("kept", f"its run is {run.state}")
    with pytest.raises((ActionRefusedError, EndpointNotFoundError)):
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


def test_there_is_one_sweep_at_a_time_and_a_dead_one_is_waited_for(app: App) -> None:
    with lock.held(app.services):
        with pytest.raises(SweepBusyError, match="going on"):
            sweep(app.services, trigger="test")
        assert sweep(app.services, trigger="test", dry_run=True).complete
        pass_time(app, minutes=4)  # the other one has given no sign of life
        assert sweep(app.services, trigger="test").complete
    assert sweep(app.services, trigger="test").complete
    with pytest.raises(SweepNotFoundError):
        archive.find(app.services, "20260101000000-nothere")


def test_data_that_nobody_needs_goes_when_it_is_old(app: App) -> None:
    run = app.one_live()
    rejected = app.until(app.received(b"no dataset"), "rejected")
    remove_endpoint(app.services, str(run.endpoint), trigger="test", reason="by hand")
    assert {"train.jsonl", "test.jsonl"} <= app.blobs_of(run)
    pass_time(app, days=31)
    report = sweep(app.services, trigger="test", dry_run=True)
    assert ("would_remove", f"prepared/{run.id}") in {(one.action, one.name) for one in report.leftovers}
    sweep(app.services, trigger="test")
    assert "train.jsonl" not in app.blobs_of(run)
    assert "test.jsonl" in app.blobs_of(run)
    assert app.blob(rejected.dataset.blob).exists()
    tidy = app.configured(REJECTED_RETENTION="30d")
    report = sweep(tidy.services, trigger="test")
    assert (rejected.dataset.path, "removed") in {(one.name, one.action) for one in report.leftovers}
    assert not app.blob(rejected.dataset.blob).exists()
