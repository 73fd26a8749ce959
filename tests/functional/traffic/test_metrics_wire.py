"""The emulator's metrics API on the wire: refusals, tokens, deployments, and the fault tool."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local import names
from local.azureml.arm import resource_id
from local.azureml.metrics import state
from tests.functional.azureml_emulator.core.driver import Wire
from tests.functional.traffic.conftest import NOW, Town

ROOT = Path(__file__).resolve().parents[3]
BATCH = f"/subscriptions/{names.SUBSCRIPTION}/metrics:getBatch"
BOT = resource_id("onlineEndpoints", "bot")


@pytest.fixture
def wire(town: Town) -> Iterator[Wire]:
    town.endpoint("bot", "blue")
    with Wire(town.services.config, api_version="2024-02-01") as made:
        yield made


def ask(wire: Wire, *ids: str, path: str = BATCH, **query: str) -> Any:
    known = {"metricnamespace": state.ENDPOINTS, "metricnames": "RequestsPerMinute", **query}
    return wire("POST", path, {"resourceids": list(ids)}, **known)


def test_a_batch_answers_in_the_documented_form(wire: Wire, town: Town) -> None:
    town.request("bot", "blue", timedelta(minutes=3))
    answer = ask(wire, BOT, aggregation="average", filter="deployment eq '*'")
    (value,) = answer.json()["values"]
    assert set(value) == {"starttime", "endtime", "interval", "namespace", "resourceregion", "resourceid", "value"}
    assert (value["resourceid"], value["interval"]) == (BOT, "PT1M")
    (metric,) = value["value"]
    (series,) = metric["timeseries"]
    assert (metric["errorCode"], metric["unit"]) == ("Success", "Count")
    assert series["metadatavalues"] == [
        {"name": {"value": "deployment", "localizedValue": "deployment"}, "value": "blue"}
    ]
    counted = [point for point in series["data"] if "average" in point]
    assert counted == [{"timeStamp": f"{NOW - timedelta(minutes=3):%Y-%m-%dT%H:%M}:00Z", "average": 1.0}]


def test_refusals_are_400_and_say_why(wire: Wire) -> None:
    answer = ask(wire, *(f"{BOT}{i}" for i in range(51)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert "limit of 50" in answer.json()["error"]["message"]
    assert ask(wire, BOT, filter="colour eq '*'").status_code == 400
    path = "onlineEndpoints/bot/providers/Microsoft.Insights/metrics"
    answer = wire("GET", path, **{"metricnames": "ConnectionsActive", "$filter": "deployment eq 'blue'"})
    assert answer.status_code == 400
    assert "does not support requested dimension combination" in answer.json()["error"]["message"]


def test_another_subscription_and_no_token_are_refused(wire: Wire) -> None:
    elsewhere = ask(wire, BOT, path="/subscriptions/00000000-0000-0000-0000-00000000beef/metrics:getBatch")
    assert (elsewhere.status_code, elsewhere.json()["error"]["code"]) == (404, "SubscriptionNotFound")
    wire._session.headers.pop("Authorization")
    assert ask(wire, BOT).status_code == 401


def test_a_deployments_metrics_are_described_and_read_on_their_own(wire: Wire) -> None:
    insights = "onlineEndpoints/bot/deployments/blue/providers/Microsoft.Insights"
    (described,) = wire("GET", f"{insights}/metricDefinitions").json()["value"]
    assert (described["name"]["value"], described["namespace"]) == ("CpuUtilizationPercentage", state.DEPLOYMENTS)
    answer = wire("GET", f"{insights}/metrics", metricnames="CpuUtilizationPercentage", aggregation="Average")
    ((series,),) = (metric["timeseries"] for metric in answer.json()["value"])
    values = [point.get("average") for point in series["data"]]
    assert values[1:] == [state.IDLE_PERCENT] * 60  # the hour before began within the first minute
    assert wire("GET", f"{insights.replace('blue', 'green')}/metrics").status_code == 404


def test_the_fault_tool_reaches_the_batch_api(wire: Wire, town: Town) -> None:
    command = [sys.executable, "-m", "local", "faults", "requests", "--path", "metrics:getBatch", "--status", "429"]
    state_dir = ["--times", "1", "--state-dir", str(town.services.config.state_dir)]
    subprocess.run([*command, *state_dir], cwd=ROOT, check=True, capture_output=True)
    assert [ask(wire, BOT).status_code for _ in range(2)] == [429, 200]
