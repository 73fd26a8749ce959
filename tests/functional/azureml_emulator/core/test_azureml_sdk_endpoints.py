"""The real SDK against the emulator: endpoints, deployments, traffic, scoring, metrics."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.ai.ml.entities import (
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
    Model,
    OnlineRequestSettings,
    ProbeSettings,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.mgmt.monitor import MonitorManagementClient

from local import names
from local.azureml.server import Emulator
from tests.functional.azureml_emulator.core.driver import Wire, eventually, register

Deploy = Callable[..., None]


@pytest.fixture
def deploy(client: MLClient, greeter: str) -> Deploy:
    """Create an endpoint with one deployment that answers, and send it all the traffic unless told otherwise."""

    def deployed(endpoint: str, name: str = "blue", *, model: str = greeter, traffic: int = 100, **kwargs: Any) -> None:
        if endpoint not in [found.name for found in client.online_endpoints.list()]:
            client.begin_create_or_update(ManagedOnlineEndpoint(name=endpoint, auth_mode="key")).result()
        client.online_deployments.begin_create_or_update(deployment(endpoint, name, model, **kwargs))
        eventually(lambda: client.online_deployments.get(name, endpoint).provisioning_state == "Succeeded")
        set_traffic(client, endpoint, {name: traffic})

    return deployed


def deployment(endpoint: str, name: str, model: str, **kwargs: Any) -> ManagedOnlineDeployment:
    kwargs.setdefault("instance_type", "Standard_F4s_v2")
    return ManagedOnlineDeployment(name=name, endpoint_name=endpoint, model=model, instance_count=1, **kwargs)


def set_traffic(client: MLClient, endpoint: str, traffic: dict[str, int]) -> None:
    changed = client.online_endpoints.get(endpoint)
    changed.traffic = traffic
    client.begin_create_or_update(changed).result()


def score(client: MLClient, endpoint: str, body: Any = None, **headers: str) -> requests.Response:
    uri = client.online_endpoints.get(endpoint).scoring_uri
    key = client.online_endpoints.get_keys(endpoint).primary_key
    sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **headers}
    data = body if isinstance(body, bytes) else json.dumps(body or {})
    return requests.post(uri, data=data, headers=sent, verify=os.environ["REQUESTS_CA_BUNDLE"], timeout=30)


def test_an_endpoint_is_created_found_and_deleted(client: MLClient, emulator: Emulator) -> None:
    wanted = ManagedOnlineEndpoint(name="short-lived", auth_mode="key", description="d", tags={"run": "r-1"})
    made = client.begin_create_or_update(wanted).result()
    assert made.provisioning_state == "Succeeded"
    assert made.scoring_uri == f"{emulator.services.config.base_url}/inference/short-lived/score"
    assert made.tags == {"run": "r-1"}
    assert "short-lived" in [found.name for found in client.online_endpoints.list()]
    client.online_endpoints.begin_delete("short-lived").result()
    with pytest.raises(ResourceNotFoundError, match="There is no endpoint with name: short-lived"):
        client.online_endpoints.get("short-lived")


def test_deleting_an_endpoint_that_is_not_there_succeeds(client: MLClient) -> None:
    client.online_endpoints.begin_delete("never-was").result()


def test_a_deployment_answers_through_the_front_door(client: MLClient, deploy: Deploy, tmp_path: Path) -> None:
    deploy("talker")
    request_file = tmp_path / "sample.json"
    request_file.write_text('{"input_data": {}}')
    answer = client.online_endpoints.invoke("talker", request_file=str(request_file))
    assert json.loads(answer)["output"] == "hello"
    direct = score(client, "talker")
    assert direct.headers["azureml-model-deployment"] == "blue"
    assert direct.headers["Server"] == "azureml-frontdoor"
    assert direct.headers["x-ms-run-function-failed"] == "False"


def test_the_poller_of_a_deployment_ends_by_itself(client: MLClient, deploy: Deploy, greeter: str) -> None:
    deploy("poller", "blue", traffic=100)
    made = client.online_deployments.begin_create_or_update(deployment("poller", "green", greeter)).result()
    assert (made.provisioning_state, made.scale_settings.type) == ("Succeeded", "default")


def test_settings_of_a_deployment_come_back(client: MLClient, deploy: Deploy) -> None:
    deploy(
        "settings",
        environment_variables={"STUB_SETTING": "seen"},
        request_settings=OnlineRequestSettings(request_timeout_ms=90000, max_concurrent_requests_per_instance=3),
        liveness_probe=ProbeSettings(initial_delay=600),
    )
    found = client.online_deployments.get("blue", "settings")
    assert found.request_settings.request_timeout_ms == 90000
    assert found.request_settings.max_concurrent_requests_per_instance == 3
    assert found.liveness_probe.initial_delay == 600
    assert found.instance_type == "Standard_F4s_v2"
    assert score(client, "settings").json()["env"] == "seen"


def test_a_wrong_key_and_no_key_are_refused(client: MLClient, deploy: Deploy) -> None:
    deploy("locked")
    assert score(client, "locked", Authorization="Bearer wrong").text == "key_auth_access_denied"
    refused = score(client, "locked", Authorization="")
    assert (refused.status_code, refused.text) == (401, "key_auth_bad_header_forbidden")


def test_a_regenerated_key_replaces_the_old_one(client: MLClient, deploy: Deploy) -> None:
    deploy("rekeyed")
    old = client.online_endpoints.get_keys("rekeyed")
    client.online_endpoints.begin_regenerate_keys("rekeyed", key_type="primary").result()
    new = client.online_endpoints.get_keys("rekeyed")
    assert new.primary_key != old.primary_key
    assert new.secondary_key == old.secondary_key
    assert score(client, "rekeyed", Authorization=f"Bearer {old.primary_key}").status_code == 401
    assert score(client, "rekeyed", Authorization=f"Bearer {old.secondary_key}").status_code == 200


def test_a_token_endpoint_takes_its_own_tokens_only(client: MLClient, greeter: str) -> None:
    for name in ("token-one", "token-two"):
        client.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode="aml_token")).result()
    client.online_deployments.begin_create_or_update(deployment("token-one", "blue", greeter))
    eventually(lambda: client.online_deployments.get("blue", "token-one").provisioning_state == "Succeeded")
    set_traffic(client, "token-one", {"blue": 100})
    own, other = (client.online_endpoints.get_keys(name).access_token for name in ("token-one", "token-two"))
    uri = client.online_endpoints.get("token-one").scoring_uri
    verify = os.environ["REQUESTS_CA_BUNDLE"]
    statuses = [
        requests.post(uri, json={}, headers={"Authorization": f"Bearer {token}"}, verify=verify, timeout=30).status_code
        for token in (own, other, "nonsense")
    ]
    assert statuses == [200, 401, 401]


def test_without_traffic_only_a_named_deployment_answers(client: MLClient, deploy: Deploy) -> None:
    deploy("quiet", traffic=0)
    assert score(client, "quiet").status_code == 404
    named = {"azureml-model-deployment": "blue"}
    assert score(client, "quiet", **named).json()["output"] == "hello"
    assert score(client, "quiet", **{"azureml-model-deployment": "red"}).status_code == 404


def test_traffic_to_a_missing_deployment_or_not_adding_up_is_refused(client: MLClient, deploy: Deploy) -> None:
    deploy("split")
    with pytest.raises(HttpResponseError, match="do not exist: green"):
        set_traffic(client, "split", {"blue": 50, "green": 50})
    with pytest.raises(HttpResponseError, match="add up to 0 or 100"):
        set_traffic(client, "split", {"blue": 60})
    assert client.online_endpoints.get("split").traffic == {"blue": 100}


def test_traffic_to_a_deployment_that_is_not_ready_is_refused(client: MLClient, deploy: Deploy, tmp_path: Path) -> None:
    deploy("early")
    model = register(client, tmp_path, "slow-early", {"answer.txt": "late", "seconds.txt": "60"})
    client.online_deployments.begin_create_or_update(deployment("early", "green", model))
    with pytest.raises(HttpResponseError, match="green is Updating") as refused:
        set_traffic(client, "early", {"green": 100})
    assert refused.value.status_code == 400
    assert client.online_endpoints.get("early").traffic == {"blue": 100, "green": 0}
    client.online_endpoints.begin_delete("early").result()


def test_an_endpoint_made_anew_inherits_nothing(client: MLClient, deploy: Deploy, emulator: Emulator) -> None:
    deploy("phoenix-two")
    # As after a kill between the two steps of a deletion.
    left_over = emulator.services.store.get("deployment", "phoenix-two/blue")
    assert left_over is not None
    client.online_endpoints.begin_delete("phoenix-two").result()
    emulator.services.store.put("deployment", "phoenix-two/blue", left_over)
    client.begin_create_or_update(ManagedOnlineEndpoint(name="phoenix-two", auth_mode="key")).result()
    assert list(client.online_deployments.list("phoenix-two")) == []


def test_a_model_that_refuses_becomes_424(client: MLClient, deploy: Deploy) -> None:
    deploy("picky")
    answer = score(client, "picky", b"not json")
    assert (answer.status_code, answer.text) == (424, "the body is not JSON")
    assert answer.headers["ms-azureml-model-error-statuscode"] == "400"


def test_a_slow_model_times_out(client: MLClient, deploy: Deploy) -> None:
    deploy("sleepy", request_settings=OnlineRequestSettings(request_timeout_ms=200))
    assert score(client, "sleepy", {"sleep": 2}).status_code == 408


def test_a_crashed_process_is_started_again(client: MLClient, deploy: Deploy) -> None:
    deploy("phoenix")
    assert score(client, "phoenix", {"die": True}).status_code == 503
    eventually(lambda: score(client, "phoenix").status_code == 200)
    assert client.online_deployments.get("blue", "phoenix").provisioning_state == "Succeeded"


def test_temporary_files_of_a_process_are_in_the_state_folder_and_do_not_outlive_its_successor(
    client: MLClient, deploy: Deploy, emulator: Emulator
) -> None:
    deploy("untidy")
    scratch = emulator.services.config.state_dir / "azureml" / "deployments" / "untidy" / "blue.tmp"
    left_over = scratch / "left-over"
    left_over.write_text("by a process that was killed")
    assert score(client, "untidy").json()["tmpdir"] == str(scratch)
    score(client, "untidy", {"die": True})
    eventually(lambda: score(client, "untidy").status_code == 200)
    assert not left_over.exists()


def test_logs_of_a_deployment_are_its_process_output(client: MLClient, deploy: Deploy) -> None:
    deploy("chatty")
    score(client, "chatty", {"a": 1})
    assert "scored 8 bytes" in client.online_deployments.get_logs("blue", "chatty", lines=10)


def test_a_container_that_crashes_makes_the_deployment_fail(client: MLClient, deploy: Deploy, tmp_path: Path) -> None:
    source = tmp_path / "broken"
    source.mkdir()
    (source / "crash.txt").write_text("no such tensor: lm_head")
    model = client.models.create_or_update(Model(name="broken", version="1", path=str(source), type="mlflow_model"))
    client.begin_create_or_update(ManagedOnlineEndpoint(name="crashing", auth_mode="key")).result()
    with pytest.raises(HttpResponseError) as failed:
        client.online_deployments.begin_create_or_update(deployment("crashing", "blue", model.id)).result()
    said = str(failed.value)
    assert "ResourceNotReady: User container has crashed or terminated: no such tensor: lm_head" in said
    assert client.online_deployments.get("blue", "crashing").provisioning_state == "Failed"
    with pytest.raises(HttpResponseError, match="unrecoverable state"):
        client.online_deployments.begin_create_or_update(deployment("crashing", "blue", model.id))
    client.online_deployments.begin_delete("blue", "crashing").result()
    assert list(client.online_deployments.list("crashing")) == []


def test_a_size_without_online_endpoints_is_refused_at_once(client: MLClient, deploy: Deploy, greeter: str) -> None:
    deploy("sizes")
    for size in ("Standard_NC24rs_v3", "Standard_Unknown"):
        with pytest.raises(HttpResponseError, match="InferencingClient HttpRequest error"):
            client.online_deployments.begin_create_or_update(deployment("sizes", "green", greeter, instance_type=size))


def test_quota_and_failure_come_on_request(client: MLClient, emulator: Emulator, greeter: str) -> None:
    faults = emulator.services.config.state_dir / "faults.json"
    client.begin_create_or_update(ManagedOnlineEndpoint(name="unlucky", auth_mode="key")).result()
    try:
        faults.write_text('{"deployment": {"quota": true}}')
        with pytest.raises(HttpResponseError, match="Not enough quota available for Standard_F4s_v2") as refused:
            client.online_deployments.begin_create_or_update(deployment("unlucky", "blue", greeter))
        assert refused.value.status_code == 400
        faults.write_text('{"deployment": {"message": "out of patience"}}')
        client.online_deployments.begin_create_or_update(deployment("unlucky", "blue", greeter))
        eventually(lambda: client.online_deployments.get("blue", "unlucky").provisioning_state == "Failed")
    finally:
        faults.unlink()


def test_an_unknown_model_or_endpoint_is_not_found(client: MLClient, deploy: Deploy, greeter: str) -> None:
    with pytest.raises(HttpResponseError, match="no-endpoint"):
        client.online_deployments.begin_create_or_update(deployment("no-endpoint", "blue", greeter)).result()
    deploy("modelless")
    missing = greeter.replace("greeter-model", "missing-model")
    with pytest.raises(HttpResponseError, match="ModelNotFound"):
        client.online_deployments.begin_create_or_update(deployment("modelless", "green", missing))


def test_a_deployment_with_traffic_is_not_deleted(client: MLClient, deploy: Deploy) -> None:
    deploy("busy-one")
    with pytest.raises(HttpResponseError, match="has 100 % of the traffic"):
        client.online_deployments.begin_delete("blue", "busy-one")
    set_traffic(client, "busy-one", {"blue": 0})
    client.online_deployments.begin_delete("blue", "busy-one").result()
    assert client.online_endpoints.get("busy-one").traffic == {}
    with pytest.raises(HttpResponseError, match="do not exist: blue"):
        set_traffic(client, "busy-one", {"blue": 100})


@pytest.mark.parametrize("what", ["onlineEndpoints/{0}", "onlineEndpoints/{0}/deployments/blue"])
def test_what_is_deleted_while_under_way_ends_its_operation(
    client: MLClient, wire: Wire, tmp_path: Path, what: str
) -> None:
    name = "cut-endpoint" if what.endswith("{0}") else "cut-deployment"
    model = register(client, tmp_path, f"slow-{name}", {"answer.txt": "late", "seconds.txt": "60"})
    client.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode="key")).result()
    properties = {"endpointComputeType": "Managed", "instanceType": "Standard_F4s_v2", "model": model}
    path = f"onlineEndpoints/{name}/deployments/blue"
    made = wire("PUT", path, {"location": "eastus", "properties": properties})
    assert wire("GET", made.headers["Azure-AsyncOperation"]).json()["status"] == "Updating"
    assert wire("DELETE", what.format(name)).status_code == 202
    assert wire("GET", made.headers["Azure-AsyncOperation"]).json()["status"] == "Failed"
    assert wire("GET", path).status_code == 404


def test_deleting_an_endpoint_ends_its_processes(client: MLClient, deploy: Deploy, emulator: Emulator) -> None:
    deploy("mortal")
    assert len(processes_of("mortal", emulator)) == 1
    client.online_endpoints.begin_delete("mortal").result()
    eventually(lambda: processes_of("mortal", emulator) == [])


def processes_of(endpoint: str, emulator: Emulator) -> list[int]:
    """The pids of an endpoint's serving processes, found by their log file (Linux)."""
    log = emulator.services.config.state_dir / "azureml" / "deployments" / endpoint / "blue.log"
    found = []
    for folder in Path("/proc").iterdir():
        # Processes of others cannot be looked into, and any may end meanwhile.
        with suppress(OSError):
            if folder.name.isdigit() and (folder / "fd" / "1").readlink() == log:
                found.append(int(folder.name))
    return found


@pytest.fixture
def monitor(client: MLClient, emulator: Emulator) -> MonitorManagementClient:
    base_url = emulator.services.config.base_url
    return MonitorManagementClient(
        ManagedIdentityCredential(), names.SUBSCRIPTION, base_url=base_url, credential_scopes=[f"{base_url}/.default"]
    )


def test_requests_show_in_azure_monitor(client: MLClient, deploy: Deploy, monitor: MonitorManagementClient) -> None:
    deploy("measured")
    resource = client.online_endpoints.get("measured").id
    assert totals(monitor, resource) == []
    for _ in range(3):
        score(client, "measured")
    score(client, "measured", Authorization="Bearer wrong")
    assert sum(totals(monitor, resource)) == 4
    assert sum(totals(monitor, resource, filter="statusCodeClass eq '2xx' and deployment eq 'blue'")) == 3
    split = query(monitor, resource, filter="statusCodeClass eq '*'").timeseries
    assert {series.metadatavalues[0].value: sum(point.total or 0 for point in series.data) for series in split} == {
        "2xx": 3.0,
        "4xx": 1.0,
    }


def query(monitor: MonitorManagementClient, resource: str, **kwargs: str) -> Any:
    now = datetime.now(UTC)
    span = f"{(now - timedelta(minutes=30)).isoformat()}/{(now + timedelta(minutes=1)).isoformat()}"
    answer = monitor.metrics.list(
        resource, metricnames="RequestsPerMinute", timespan=span, interval="PT1M", aggregation="Total", **kwargs
    )
    (metric,) = answer.value
    return metric


def totals(monitor: MonitorManagementClient, resource: str, **kwargs: str) -> list[float]:
    series = query(monitor, resource, **kwargs).timeseries
    return [point.total for one in series for point in one.data if point.total is not None]


def test_an_unknown_metric_is_refused(client: MLClient, deploy: Deploy, wire: Wire) -> None:
    deploy("unmeasured")
    path = "onlineEndpoints/unmeasured/providers/Microsoft.Insights/metrics"
    answer = wire("GET", path, metricnames="Nonsense")
    assert answer.status_code == 400
    assert "Valid metrics: RequestsPerMinute" in answer.json()["error"]["message"]
