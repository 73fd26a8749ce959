"""Faults of the emulator, asked for over HTTP and seen by the SDK and by plain requests."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import ManagedOnlineDeployment, ManagedOnlineEndpoint
from azure.core.exceptions import HttpResponseError, ServiceResponseError

from local import names
from local.azureml.server import Emulator
from tests.functional.azureml_emulator.core.driver import Wire, eventually

RECORDED = Path(__file__).parents[3] / "recorded"
ENDPOINT = {"location": "eastus", "properties": {"authMode": "Key"}}
Ask = Callable[..., list[str]]


@pytest.fixture
def ask(wire: Wire, emulator: Emulator) -> Iterator[Ask]:
    """Ask for faults; they are gone after the test."""
    url = f"{emulator.services.config.base_url}/local/faults"

    def asked(**faults: Any) -> list[str]:
        answer = wire.raw("POST", url, json=faults)
        assert answer.status_code == 201, answer.text
        return list(answer.json()["ids"])

    yield asked
    assert wire.raw("DELETE", url).status_code == 204


def deployment(endpoint: str, model: str) -> ManagedOnlineDeployment:
    return ManagedOnlineDeployment(
        name="blue", endpoint_name=endpoint, model=model, instance_type="Standard_F4s_v2", instance_count=1
    )


def make_endpoint(client: MLClient, name: str) -> None:
    client.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode="key")).result()


def test_throttled_requests_look_as_recorded_and_end_after_their_times(ask: Ask, wire: Wire) -> None:
    ask(requests={"method": "GET", "path": "computes", "status": 429, "times": 2})
    recorded = json.loads((RECORDED / "error-429-throttled.json").read_text())["response"]
    throttled = [wire("GET", "computes") for _ in range(3)]
    assert [answer.status_code for answer in throttled] == [429, 429, 200]
    assert "Retry-After" not in throttled[0].headers
    assert throttled[0].headers["x-ms-response-type"] == recorded["headers"]["x-ms-response-type"]
    assert throttled[0].headers["Connection"] == recorded["headers"]["Connection"]
    said, expected = throttled[0].json()["error"], recorded["body"]["error"]
    assert {**said, "additionalInfo": None} == {**expected, "additionalInfo": None}
    assert [info["type"] for info in said["additionalInfo"]] == [info["type"] for info in expected["additionalInfo"]]
    assert said["additionalInfo"][-1] == expected["additionalInfo"][-1]


def test_the_sdk_waits_as_long_as_retry_after_says(ask: Ask, client: MLClient) -> None:
    ask(requests={"path": "computes", "status": 429, "retry_after": 1, "times": 1})
    began = time.monotonic()
    assert list(client.compute.list()) == []
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("status", [500, 503])
def test_servers_faults_have_azures_shape_and_only_hit_their_plane(ask: Ask, wire: Wire, status: int) -> None:
    ask(requests={"plane": "data", "status": status})
    assert wire("GET", "computes").status_code == 200
    answer = wire("GET", "/mlflow/v2.0/api/2.0/mlflow/experiments/search")
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "ServiceError"


def test_a_request_is_dropped_before_or_after_its_work_is_done(
    ask: Ask, wire: Wire, client: MLClient, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.WARNING)
    for when, found in (("before", 404), ("after", 200)):
        name = f"dropped-{when}"
        ask(requests={"method": "PUT", "path": name, "drop": True, "when": when, "times": 1})
        with pytest.raises(requests.ConnectionError):
            wire("PUT", f"onlineEndpoints/{name}", ENDPOINT)
        assert wire("GET", f"onlineEndpoints/{name}").status_code == found
    ask(requests={"method": "GET", "path": "onlineEndpoints", "drop": True, "times": 1})
    assert {endpoint.name for endpoint in client.online_endpoints.list()} >= {"dropped-after"}  # the SDK tries again
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    assert caplog.records == []


def test_an_answer_is_replaced_after_the_work_is_done(ask: Ask, wire: Wire) -> None:
    ask(requests={"method": "PUT", "path": "replaced", "status": 500, "when": "after", "times": 1})
    assert wire("PUT", "onlineEndpoints/replaced", ENDPOINT).status_code == 500
    assert wire("GET", "onlineEndpoints/replaced").status_code == 200


def test_slow_answers_are_whole(ask: Ask, wire: Wire) -> None:
    for when in ("before", "after"):
        ask(requests={"path": "computes", "delay_s": 0.5, "when": when, "times": 1})
        began = time.monotonic()
        assert wire("GET", "computes").json() == {"value": []}
        assert time.monotonic() - began >= 0.5


def test_a_client_that_goes_away_leaves_no_traceback(
    ask: Ask,
    wire: Wire,
    emulator: Emulator,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.WARNING)
    ask(requests={"path": "gone", "delay_s": 1, "when": "after"})
    url = f"{emulator.services.config.base_url}/subscriptions/gone"

    def half() -> Iterator[bytes]:
        yield b"{"
        raise RuntimeError("the client dies in the middle of its request")

    with pytest.raises(requests.Timeout):
        requests.put(url, json={}, verify=str(emulator.services.config.tls.ca_bundle), timeout=0.3)
    path = f"{emulator.services.config.base_url}{names.WORKSPACE_ID}/onlineEndpoints/half"
    with pytest.raises(RuntimeError):
        wire.raw("PUT", path, data=half())
    time.sleep(1.2)
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    assert caplog.records == []


def test_scoring_is_throttled_in_its_own_words_and_answers_again(
    ask: Ask, client: MLClient, greeter: str, wire: Wire
) -> None:
    make_endpoint(client, "scored")
    client.online_deployments.begin_create_or_update(deployment("scored", greeter)).result()
    endpoint = client.online_endpoints.get("scored")
    endpoint.traffic = {"blue": 100}
    client.begin_create_or_update(endpoint).result()
    key = client.online_endpoints.get_keys("scored").primary_key

    def score() -> requests.Response:
        return wire.raw("POST", str(endpoint.scoring_uri), json={}, headers={"Authorization": f"Bearer {key}"})

    assert score().status_code == 200
    ask(requests={"plane": "scoring", "status": 429, "times": 1})
    throttled = score()
    assert (throttled.status_code, throttled.text) == (429, "Too many pending requests")
    assert score().status_code == 200


def test_quota_is_refused_for_the_sizes_it_lacks(ask: Ask, client: MLClient, greeter: str) -> None:
    make_endpoint(client, "poor")
    ask(deployment={"quota": True, "instance_type": "F4s", "match": "poor"})
    with pytest.raises(HttpResponseError, match="Not enough quota available for Standard_F4s_v2") as refused:
        client.online_deployments.begin_create_or_update(deployment("poor", greeter))
    assert refused.value.status_code == 400
    bigger = deployment("poor", greeter)
    bigger.instance_type = "Standard_DS3_v2"
    client.online_deployments.begin_create_or_update(bigger).result()


def test_the_quotas_body_has_the_recorded_shape(ask: Ask, wire: Wire) -> None:
    ask(requests={"method": "PUT", "path": "deployments/", "status": 400, "body": "quota"})
    body = {"properties": {"instanceType": "Standard_F16s_v2"}}
    answer = wire("PUT", "onlineEndpoints/any/deployments/blue", body)
    recorded = json.loads((RECORDED / "error-400-deployment-quota-QUOTED.json").read_text())["response"]["body"]
    detail, expected = answer.json()["error"]["details"][0], recorded["error"]["details"][0]
    assert answer.status_code == 400
    assert detail["code"] == expected["code"]
    assert "Standard_F16s_v2" in detail["message"]
    assert answer.json()["error"]["message"] == recorded["error"]["message"]


def test_a_deployment_never_ends_until_the_fault_is_taken_away(
    ask: Ask, wire: Wire, client: MLClient, greeter: str
) -> None:
    make_endpoint(client, "endless")
    (fault,) = ask(deployment={"never_ends": True, "times": 1})
    client.online_deployments.begin_create_or_update(deployment("endless", greeter))
    time.sleep(1)
    state = lambda: client.online_deployments.get("blue", "endless").provisioning_state  # noqa: E731
    assert state() == "Updating"
    assert wire.raw("DELETE", f"{wire._base}/local/faults/{fault}").status_code == 204
    eventually(lambda: state() == "Succeeded")


def test_an_endpoints_name_is_somebody_elses_in_the_workspace(ask: Ask, client: MLClient) -> None:
    ask(taken={"endpoint": "theirs-.*"})
    found = client.online_endpoints.get("theirs-1")
    assert (found.tags, found.provisioning_state, found.traffic) == ({"owner": "somebody-else"}, "Succeeded", {})
    client.online_endpoints.begin_delete("theirs-1").result()
    with pytest.raises(HttpResponseError, match="no endpoint"):
        client.online_endpoints.get("theirs-1")
    with pytest.raises(HttpResponseError, match="no endpoint"):
        client.online_endpoints.get("others")


def test_an_endpoints_name_is_taken_elsewhere_in_the_region(ask: Ask, client: MLClient) -> None:
    ask(scenario="taken", endpoint="elsewhere", where="region")
    with pytest.raises(HttpResponseError, match="no endpoint"):
        client.online_endpoints.get("elsewhere")
    with pytest.raises(HttpResponseError, match="Endpoint name needs to be unique within a region") as refused:
        make_endpoint(client, "elsewhere")
    assert refused.value.status_code == 400


def test_an_unreachable_workspace_answers_nothing(ask: Ask, client: MLClient) -> None:
    ask(scenario="unreachable", lasts_s=300)
    with pytest.raises(ServiceResponseError):
        client.workspaces.get("finetune-local", retry_total=0)


def test_faults_are_listed_with_their_counts_and_refused_with_a_reason(
    ask: Ask, wire: Wire, emulator: Emulator
) -> None:
    url = f"{emulator.services.config.base_url}/local/faults"
    ask(requests={"path": "computes", "status": 503, "times": 5, "seconds": 60})
    wire("GET", "computes")
    (found,) = wire.raw("GET", url).json()["value"]
    assert found["rule"] == {"path": "computes", "status": 503, "times": 5, "seconds": 60}
    assert (found["kind"], found["used"]) == ("requests", 1)
    assert 0 < found["seconds_left"] <= 60
    refused = wire.raw("POST", url, json={"requests": {"status": 42}})
    assert refused.status_code == 400
    assert "status" in refused.json()["error"]["message"]
    assert wire.raw("DELETE", f"{url}/no-such-fault").status_code == 404
