"""Reading use with the real SDKs: in batches, one by one, under trouble; what is not known is said to be unknown."""

from dataclasses import replace
from datetime import timedelta

from azure.monitor.querymetrics import MetricsClient

from local.azureml.arm import resource_id
from shared.identity import credential
from shared.traffic import OwnRequest, Reading, Traffic, Unread
from tests.functional.traffic.conftest import NOW, Town, asked

MINUTE = timedelta(minutes=1)
THIS_MINUTE = NOW.replace(second=0)
BATCH = "metrics:getBatch"


def read(town: Town, *questions, within: timedelta = timedelta(seconds=30), **settings: str):
    return Traffic(town.settings(**settings)).read(questions, NOW, within=within)


def known(found: Reading | Unread) -> Reading:
    assert isinstance(found, Reading), found
    return found


def fault(found: Reading | Unread) -> str:
    assert isinstance(found, Unread), found
    return found.fault


def test_a_hundred_endpoints_take_six_calls(town: Town) -> None:
    names = [f"bot-{i:03d}" for i in range(100)]
    for i, name in enumerate(names):
        town.endpoint(name, "blue")
        if i % 10 == 0:
            town.request(name, "blue", timedelta(hours=1))
    found = read(town, *(asked(name, "blue") for name in names))
    assert [known(found[name]).use().requests for name in names] == [1.0 if i % 10 == 0 else 0.0 for i in range(100)]
    assert town.calls == {"batch": 6}


def test_use_says_when_who_and_how_far_it_is_known(town: Town) -> None:
    town.endpoint("bot", "blue", "green")
    town.request("bot", "blue", timedelta(hours=3))
    town.request("bot", "blue", timedelta(minutes=40), status=404)
    town.request("bot", "green", timedelta(hours=5))
    town.request("bot", "green", timedelta(hours=9))
    found = known(read(town, asked("bot", "blue", "green"))["bot"])
    whole, blue, green = found.use(), found.use("blue"), found.use("Green")
    assert (whole.requests, whole.last_request_at) == (3, THIS_MINUTE - 40 * MINUTE)
    assert (blue.requests, blue.last_request_at) == (2, THIS_MINUTE - 40 * MINUTE)
    assert (green.requests, green.last_request_at) == (1, THIS_MINUTE - 300 * MINUTE)
    assert (whole.connected_at, blue.connected_at) == (THIS_MINUTE - 40 * MINUTE, None)
    assert whole.known_until == blue.known_until == green.known_until == THIS_MINUTE
    assert found.own_requests == 0


def test_figures_that_come_late_are_known_until_then(town: Town) -> None:
    town.endpoint("bot", "blue")
    town.request("bot", "blue", timedelta(minutes=2))
    town.lag(timedelta(minutes=20))
    use = known(read(town, asked("bot", "blue"))["bot"]).use()
    assert (use.requests, use.known_until) == (0, THIS_MINUTE - 21 * MINUTE)


def test_an_endpoint_without_an_instance_that_lives_is_known_until_no_time(town: Town) -> None:
    town.endpoint("failed", "blue", phase="Failed")
    town.endpoint("empty")
    found = read(town, asked("failed", "blue"), asked("empty"))
    assert [known(found[name]).use().known_until for name in ("failed", "empty")] == [None, None]


def test_a_failed_deployment_does_not_hide_that_its_sibling_is_idle(town: Town) -> None:
    town.endpoint("bot", "blue", "green")
    town.services.store.update("deployment", "bot/green", lambda doc: {**doc, "phase": "Failed"})
    found = known(read(town, asked("bot", "blue", "green"))["bot"])
    assert (found.use().known_until, found.use("green").known_until) == (THIS_MINUTE, None)


def test_own_requests_are_no_use(town: Town) -> None:
    town.endpoint("bot", "blue")
    for ago in (120, 120, 60):
        town.request("bot", "blue", ago * MINUTE)
    own = tuple(
        OwnRequest("bot", "blue", NOW - ago * MINUTE - timedelta(seconds=2), NOW - ago * MINUTE) for ago in (120, 60)
    )
    found = known(read(town, asked("bot", "blue", own=own))["bot"])
    use = found.use()
    assert (use.requests, use.last_request_at, found.own_requests) == (1, THIS_MINUTE - 120 * MINUTE, 2)
    assert use.connected_at is None  # of one client, in minutes in which this app was one


def test_a_window_of_a_month_is_read_in_more_calls(town: Town) -> None:
    names = ["a-bot", "b-bot", "c-bot"]
    for name in names:
        town.endpoint(name, "blue")
    town.request("a-bot", "blue", timedelta(days=29))
    month = timedelta(days=30)
    found = read(town, *(asked(name, "blue", window=month) for name in names))
    assert [known(found[name]).use().requests for name in names] == [1, 0, 0]
    assert town.calls == {"batch": 7}


def test_each_endpoint_has_a_window_of_its_own(town: Town) -> None:
    for name in ("hasty", "patient"):
        town.endpoint(name, "blue")
        town.request(name, "blue", timedelta(hours=2))
    hasty = asked("hasty", "blue", window=timedelta(hours=1))
    found = read(town, hasty, asked("patient", "blue", window=timedelta(days=2)))
    assert [known(found[name]).use().requests for name in ("hasty", "patient")] == [0, 1]
    assert town.calls == {"batch": 3}


def test_many_series_do_not_push_others_out(town: Town) -> None:
    for i in range(20):
        town.endpoint(f"bot-{i}", "blue")
        for status in (200, 404, 429):
            town.request(f"bot-{i}", "blue", MINUTE, status)
    found = read(town, *(asked(f"bot-{i}", "blue") for i in range(20)))
    assert {known(one).use().requests for one in found.values()} == {3}


def test_without_rights_on_the_subscription_each_is_read_on_its_own(town: Town) -> None:
    for name in ("a-bot", "b-bot"):
        town.endpoint(name, "blue")
    town.request("b-bot", "blue", timedelta(hours=1))
    town.request("b-bot", "blue", timedelta(hours=1), status=404)
    body = {"error": {"code": "AuthorizationFailed", "message": "The client does not have authorization."}}
    town.fault(path=BATCH, status=403, body=body)
    found = read(town, asked("a-bot", "blue"), asked("b-bot", "blue"))
    uses = [known(found[name]).use() for name in ("a-bot", "b-bot")]
    assert [(use.requests, use.known_until) for use in uses] == [(0, THIS_MINUTE), (2, THIS_MINUTE)]
    assert town.calls["single"] == 6


def test_one_resource_that_spoils_a_batch_hides_no_other(town: Town) -> None:
    town.endpoint("bot", "blue")
    town.request("bot", "blue", timedelta(hours=1))
    town.fault(path=BATCH, status=400, times=3)
    found = read(town, asked("bot", "blue"), asked("gone", "blue"))
    assert known(found["bot"]).use().requests == 1
    assert "gone" in fault(found["gone"])


def test_a_missing_endpoint_is_unread_and_its_batch_is_not(town: Town) -> None:
    town.endpoint("bot", "blue")
    found = read(town, asked("bot", "blue"), asked("gone", "blue"))
    assert known(found["bot"]).use().requests == 0
    assert fault(found["gone"]) == "Azure Monitor left it out of its answer about RequestsPerMinute"
    assert town.calls == {"batch": 3}


def test_throttling_changes_only_the_time(town: Town) -> None:
    town.endpoint("bot", "blue")
    town.request("bot", "blue", timedelta(hours=1))
    town.fault(path=BATCH, status=429, retry_after=0.2, times=4)
    assert known(read(town, asked("bot", "blue"))["bot"]).use().requests == 1
    assert town.calls["single"] == 0


def test_trouble_that_outlasts_the_time_leaves_it_unread(town: Town) -> None:
    town.endpoint("bot", "blue")
    town.fault(path=BATCH, status=503)
    assert "503" in fault(read(town, asked("bot", "blue"), within=timedelta(seconds=2))["bot"])


def test_without_time_nothing_is_asked(town: Town) -> None:
    town.endpoint("bot", "blue")
    assert "time for reading was over" in fault(read(town, asked("bot", "blue"), within=timedelta())["bot"])
    assert town.calls == {}


def test_a_cloud_without_the_batch_api_is_read_one_by_one(town: Town) -> None:
    town.endpoint("bot", "blue")
    town.request("bot", "blue", timedelta(hours=1))
    settings = town.settings()
    traffic = Traffic(replace(settings, cloud=replace(settings.cloud, custom_metrics=None)))
    assert known(traffic.read([asked("bot", "blue")], NOW)["bot"]).use().requests == 1
    assert town.calls == {"single": 3}


def test_where_a_firewall_lets_only_resource_manager_pass_endpoints_are_read_one_by_one(town: Town) -> None:
    town.endpoint("bot", "blue")
    town.request("bot", "blue", timedelta(hours=1))
    settings = town.settings()
    nobody = replace(settings.cloud, custom_metrics="https://127.0.0.1:9")
    traffic = Traffic(replace(settings, cloud=nobody))
    found = traffic.read([asked("bot", "blue")], NOW, within=timedelta(seconds=20))
    assert known(found["bot"]).use().requests == 1


def test_the_sdks_own_models_read_the_emulators_batch(town: Town) -> None:
    town.endpoint("bot", "blue", "green")
    for deployment, status in (("blue", 200), ("blue", 404), ("green", 200)):
        town.request("bot", deployment, timedelta(minutes=5), status)
    base = town.services.config.base_url
    with MetricsClient(base, credential(), audience=base) as client:
        (result,) = client.query_resources(
            resource_ids=[resource_id("onlineEndpoints", "bot")],
            metric_namespace="Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
            metric_names=["RequestsPerMinute"],
            timespan=(NOW - timedelta(minutes=30), NOW),
            granularity=MINUTE,
            aggregations=["Average", "Total"],
            filter="deployment eq '*'",
        )
    metric = result.metrics["RequestsPerMinute"]
    totals = {
        series.metadata_values["deployment"]: sum(point.total or 0 for point in series.data)
        for series in metric.timeseries
    }
    assert (totals, result.granularity, result.resource_region) == ({"blue": 2, "green": 1}, MINUTE, "eastus")
    assert result.namespace.endswith("/onlineEndpoints")
