"""The emulator's answers against what Azure itself answered: same keys, same statuses, same headers.

Oracles: the recorded exchanges in tests/recorded, and the SDK's own generated models.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from local import names
from local.azureml.server import Emulator
from local.azureml.services import Config
from tests.functional.azureml_emulator.core.contract import faults_of
from tests.functional.azureml_emulator.core.driver import Wire, eventually, slow

RECORDED = Path(__file__).parents[3] / "recorded"
# Later api-versions than the recorded one add these; the SDK of today reads them.
NEWER = {"autoDeleteSetting", "provisioningState", "stage", "intellectualProperty"}


def recorded(name: str) -> dict[str, Any]:
    response: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())["response"]
    return response


def shape(value: Any, free: frozenset[str]) -> Any:
    """Reduce a body to its keys and the kinds of its values; what is under a free key is the caller's own."""
    if isinstance(value, dict):
        return {key: "..." if key in free else shape(inner, free) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [shape(inner, free) for inner in value[:1]]
    return type(value).__name__


def check(answer: requests.Response, name: str, *free: str, newer: bool = False) -> None:
    """Compare an answer with a recorded one: status, body's keys and kinds, headers."""
    expected = recorded(name)
    assert answer.status_code == expected["status"]
    body = answer.json()
    if newer:
        body["properties"] = {key: value for key, value in body["properties"].items() if key not in NEWER}
    assert shape(body, frozenset(free)) == shape(expected["body"], frozenset(free))
    _check_headers(answer, expected)


def _check_headers(answer: requests.Response, expected: dict[str, Any]) -> None:
    assert "Retry-After" not in answer.headers
    given = expected["headers"]
    sent = {header for header in given if header.lower() not in ("content-length", "connection", "x-request-time")}
    assert not [header for header in sent if header not in answer.headers and "Expose" not in header]
    assert answer.headers["x-ms-response-type"] == given.get("x-ms-response-type", "standard")
    rates = {header for header in given if "ratelimit" in header}
    assert {header for header in answer.headers if "ratelimit" in header} == rates


ENDPOINT = {
    "tags": {},
    "location": "eastus",
    "identity": {"type": "SystemAssigned"},
    "properties": {"authMode": "Key", "properties": {}, "mirrorTraffic": {}, "traffic": {}},
}
FREE = ("tags", "traffic", "mirrorTraffic", "environmentVariables")


def deployment(model: str) -> dict[str, Any]:
    return {
        "tags": {},
        "location": "eastus",
        "properties": {
            "environmentVariables": {},
            "properties": {},
            "appInsightsEnabled": False,
            "endpointComputeType": "Managed",
            "instanceType": "Standard_F4s_v2",
            "model": model,
            "privateNetworkConnection": False,
        },
        "sku": {"name": "Default", "capacity": 1},
    }


CLUSTER = {
    "location": "eastus",
    "properties": {
        "computeType": "AmlCompute",
        "description": "some cluster",
        "properties": {
            "osType": "Linux",
            "vmSize": "Standard_DS2_v2",
            "vmPriority": "Dedicated",
            "scaleSettings": {"maxNodeCount": 2, "minNodeCount": 0, "nodeIdleTimeBeforeScaleDown": "PT1M40S"},
            "userAccountCredentials": {"adminUserName": "azureuser", "adminUserSshPublicKey": "ssh-rsa AAAA"},
            "remoteLoginPortPublicAccess": "Enabled",
            "enableNodePublicIp": True,
        },
    },
}


@pytest.fixture
def slow_wire(config: Config) -> Iterator[Wire]:
    """An emulator whose own delays never end: what is under way can be looked at."""
    with Emulator(slow(config)) as running, Wire(running.services.config) as session:
        yield session


def test_workspace_and_discovery(wire: Wire) -> None:
    check(wire("GET", ""), "workspace-get", "tags", "notebookInfo", "containerRegistry", "sdkTelemetryAppInsightsKey")
    answer = wire("GET", "/discovery")
    assert answer.json().keys() == recorded("workspace-discovery")["body"].keys()


def test_registry(wire: Wire) -> None:
    check(
        wire("GET", "/registrymanagement/v1.0/registries/azureml/discovery"),
        "registry-discovery",
        "registryFqdns",
    )
    found = wire("GET", "/registrymanagement/v1.0/registries/azureml/discovery").json()
    base = (
        f"/mferp/managementfrontend/subscriptions/{found['subscriptionId']}/resourceGroups/{found['resourceGroup']}"
        "/providers/Microsoft.MachineLearningServices/registries/azureml"
    )
    check(wire("GET", f"{base}/models/Phi-4/versions/8"), "registry-model-get", "tags", "properties", "flavors")
    component = wire("GET", f"{base}/components/chat_completion_pipeline/versions/0.0.82")
    check(component, "registry-component-get", "tags", "componentSpec")
    spec = component.json()["properties"]["componentSpec"]
    assert "jobs" not in spec
    assert all(isinstance(value, str | list) for given in spec["inputs"].values() for value in given.values())
    missing = wire("GET", f"{base}/models/none/versions/1")
    assert missing.status_code == 404
    expected = recorded("registry-model-get-404")["body"]["error"]
    kinds = [info["type"] for info in expected["additionalInfo"] if info["type"] != "DebugInfo"]
    assert [info["type"] for info in missing.json()["error"]["additionalInfo"]] == kinds
    assert missing.json()["error"]["code"] == expected["code"]


def test_datastores(wire: Wire) -> None:
    check(wire("GET", "datastores/workspaceblobstore"), "datastore-get")
    check(wire("GET", "datastores", isDefault="true", count="30"), "datastore-list-default")
    check(wire("POST", "datastores/workspaceblobstore/listSecrets", {}), "datastore-listsecrets")


def test_data_and_models(wire: Wire) -> None:
    uri = "azureml://datastores/workspaceblobstore/paths/a.jsonl"
    data = {"properties": {"description": "d", "dataType": "uri_file", "dataUri": uri}}
    put = wire("PUT", "data/recorded/versions/1", data)
    # Recorded without lastModifiedBy, which today's answers have.
    assert put.status_code == 201
    assert put.json()["properties"].keys() == recorded("data-put-201")["body"]["properties"].keys()
    model = {"properties": {"description": None, "modelType": "custom_model", "modelUri": uri}}
    check(wire("PUT", "models/recorded/versions/1", model), "model-put-201-custom", "flavors", "tags", newer=True)
    got = wire("GET", "models/recorded/versions/1").json()["properties"]
    assert got.keys() == recorded("model-get")["body"]["properties"].keys()
    assert got["modelUri"].startswith("azureml://subscriptions/") and "/resourceGroups/" in got["modelUri"]
    check(wire("GET", "models/recorded"), "model-container-get")
    check(wire("GET", "models/nothing"), "model-container-get-404")


def test_cluster_while_it_is_created(slow_wire: Wire) -> None:
    put = slow_wire("PUT", "computes/recorded", CLUSTER)
    check(put, "compute-put-201", "tags")
    assert "Location" not in put.headers
    assert put.json()["properties"]["properties"]["vmSize"] == "STANDARD_DS2_V2"
    assert slow_wire("GET", put.headers["Azure-AsyncOperation"]).json()["status"] == "InProgress"


def test_cluster_when_it_is_there_and_when_it_is_not(wire: Wire) -> None:
    put = wire("PUT", "computes/recorded", CLUSTER)
    check(wire("GET", "computes/recorded"), "compute-get-steady", "tags")
    poll = wire("GET", put.headers["Azure-AsyncOperation"])
    assert poll.json() == recorded("compute-poll-succeeded")["body"]
    gone = wire("DELETE", "computes/recorded", underlyingResourceAction="Delete")
    assert (gone.status_code, gone.content) == (202, b"")
    missing = wire("GET", "computes/recorded")
    assert (missing.status_code, missing.content) == (404, b"")
    assert missing.headers["x-ms-response-type"] == "standard"


def test_endpoint_while_it_is_created(slow_wire: Wire) -> None:
    put = slow_wire("PUT", "onlineEndpoints/recorded", ENDPOINT)
    check(put, "endpoint-put-201-create", *FREE)
    assert put.headers["x-ms-async-operation-timeout"] == "PT30M"
    assert put.headers["Location"].partition("?")[0].endswith("/onlineEndpoints/recorded")
    poll = slow_wire("GET", put.headers["Azure-AsyncOperation"])
    check(poll, "endpoint-poll-updating")
    assert (poll.json()["status"], poll.json()["percentComplete"]) == ("Updating", 0.0)
    busy = slow_wire("PUT", "onlineEndpoints/recorded", ENDPOINT)
    assert busy.status_code == 409
    too_early = slow_wire("PUT", "onlineEndpoints/recorded/deployments/blue", deployment("m"))
    assert too_early.status_code == 409
    assert "because it is in Creating provisioning state" in too_early.json()["error"]["message"]


def test_of_many_puts_at_once_one_wins_and_the_others_are_told(slow_wire: Wire) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: slow_wire("PUT", "onlineEndpoints/raced", ENDPOINT), range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]


def test_endpoint_and_deployment(wire: Wire, greeter: str) -> None:
    put = wire("PUT", "onlineEndpoints/recorded", ENDPOINT)
    check(wire("GET", put.headers["Azure-AsyncOperation"]), "endpoint-poll-succeeded")
    check(wire("GET", "onlineEndpoints/recorded"), "endpoint-get-succeeded", *FREE)
    path = "onlineEndpoints/recorded/deployments/blue"
    created = wire("PUT", path, deployment(greeter))
    check(created, "deployment-put-201-mlflow", *FREE)
    eventually(lambda: wire("GET", path).json()["properties"]["provisioningState"] == "Succeeded")
    check(wire("GET", path), "deployment-get-succeeded-mlflow", *FREE)
    poll = wire("GET", created.headers["Azure-AsyncOperation"])
    assert (poll.json()["status"], poll.json()["percentComplete"]) == ("Succeeded", 100.0)
    logs = wire("POST", f"{path}/getLogs", {"containerType": "StorageInitializer", "tail": 0})
    assert shape(logs.json(), frozenset()) == shape(recorded("deployment-getlogs-example")["body"], frozenset())
    with_traffic = {**ENDPOINT, "properties": {**ENDPOINT["properties"], "traffic": {"blue": 100}}}
    changed = wire("PUT", "onlineEndpoints/recorded", with_traffic)
    check(changed, "endpoint-put-201-traffic", *FREE)
    gone = wire("DELETE", "onlineEndpoints/recorded")
    assert (gone.status_code, gone.text) == (recorded("endpoint-delete-202")["status"], "null")
    assert "/mfeOperationResults/oe:" in gone.headers["Location"]
    check(wire("GET", "onlineEndpoints/recorded"), "error-404-endpoint")


def test_refused_quota(wire: Wire, emulator: Emulator, greeter: str) -> None:
    faults = emulator.services.config.state_dir / "faults.json"
    wire("PUT", "onlineEndpoints/quota", ENDPOINT)
    faults.write_text('{"deployment": {"quota": true}}')
    try:
        answer = wire("PUT", "onlineEndpoints/quota/deployments/blue", deployment(greeter))
    finally:
        faults.unlink()
    expected = recorded("error-400-deployment-quota-QUOTED")
    given, said = expected["body"]["error"], answer.json()["error"]
    assert (answer.status_code, said["code"], said["message"]) == (400, given["code"], given["message"])
    assert said["details"][0]["code"] == given["details"][0]["code"]
    texts = [detail["message"].partition("{")[2] for detail in (said["details"][0], given["details"][0])]
    inner, outer = (json.loads("{" + text) for text in texts)
    assert inner.keys() == outer.keys()
    assert "Not enough quota available for Standard_F4s_v2" in inner["errors"]["VmSize"][0]


@pytest.mark.parametrize(
    ("model", "path", "name"),
    [
        ("Workspace", "", "workspace-get"),
        ("Datastore", "datastores/workspaceblobstore", "datastore-get"),
        ("ComputeResource", "computes/contract", "compute-get-steady"),
        ("OnlineEndpoint", "onlineEndpoints/contract", "endpoint-get-succeeded"),
        ("OnlineDeployment", "onlineEndpoints/contract/deployments/blue", "deployment-get-succeeded-mlflow"),
        ("ModelVersion", "models/greeter-model/versions/1", "model-get"),
        ("ModelContainer", "models/greeter-model", "model-container-get"),
    ],
)
def test_answers_break_the_sdks_models_no_more_than_azure_does(
    wire: Wire, greeter: str, model: str, path: str, name: str
) -> None:
    wire("PUT", "computes/contract", CLUSTER)
    wire("PUT", "onlineEndpoints/contract", ENDPOINT)
    wire("PUT", "onlineEndpoints/contract/deployments/blue", deployment(greeter))
    faults = set(faults_of(model, wire("GET", path).json()))
    # Azure's older answers have keys that the newer models do not know.
    assert faults <= set(faults_of(model, recorded(name)["body"]))


def test_no_token_a_foreign_one_and_a_foreign_scope(wire: Wire, emulator: Emulator) -> None:
    url = f"{emulator.services.config.base_url}{names.WORKSPACE_ID}"
    verify = str(emulator.services.config.tls.ca_bundle)
    without = requests.get(url, verify=verify, timeout=10)
    assert (without.status_code, without.json()["error"]["code"]) == (401, "AuthenticationFailed")
    foreign = requests.get(url, headers={"Authorization": "Bearer a.b.c"}, verify=verify, timeout=10)
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    other = wire("GET", names.WORKSPACE_ID.replace("workspaces/finetune-local", "workspaces/other"))
    assert (other.status_code, other.json()["error"]["code"]) == (404, "ResourceNotFound")
    nowhere = wire("GET", "/subscriptions/00000000-0000-0000-0000-000000000000")
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (404, "SubscriptionNotFound")


def test_ids_match_whatever_their_case(wire: Wire) -> None:
    lower = wire("GET", names.WORKSPACE_ID.lower())
    assert lower.json()["id"] == names.WORKSPACE_ID


def test_what_is_not_implemented_says_so(wire: Wire) -> None:
    for method, path in (("GET", "schedules"), ("PATCH", "onlineEndpoints/any")):
        answer = wire(method, path)
        assert answer.status_code == 501
        assert f"{method} {names.WORKSPACE_ID}/{path}" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("onlineEndpoints/odd", {}),
        ("onlineEndpoints/odd", {"properties": []}),
        ("onlineEndpoints/odd", {"properties": {"authMode": "Kee"}}),
        ("onlineEndpoints/odd", {"properties": {"authMode": "Key", "traffic": [100]}}),
        ("onlineEndpoints/x", {"properties": {"authMode": "Key"}}),
        ("computes/odd", {"properties": {"computeType": "Kubernetes", "properties": {}}}),
        ("computes/odd", {"properties": {"computeType": "AmlCompute"}}),
        ("computes/odd", {"properties": {"computeType": "AmlCompute", "properties": {"vmSize": None}}}),
        ("data/odd/versions/1", {"properties": {"dataType": "uri_file"}}),
        ("data/odd/versions/1", {"properties": {"dataType": "table", "dataUri": "u"}}),
        ("models/odd/versions/1", {"properties": {"modelType": "mlflow_model"}}),
        ("models/odd/versions/1", {"properties": {"modelType": "pickle", "modelUri": "u"}}),
        ("components/odd/versions/1", {"properties": {"componentSpec": {}}}),
        ("datastores/odd", {"properties": {"datastoreType": "AzureFile"}}),
    ],
)
def test_a_body_that_cannot_be_is_refused_with_a_reason(wire: Wire, path: str, body: dict[str, Any]) -> None:
    answer = wire("PUT", path, body)
    error = answer.json()["error"]
    assert (answer.status_code, answer.headers["x-ms-response-type"]) == (400, "error")
    assert all(detail["message"] for detail in error["details"]) and error["message"]
    assert wire("GET", path).status_code == 404


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(wire: Wire, emulator: Emulator, raw: bytes) -> None:
    url = f"{emulator.services.config.base_url}{names.WORKSPACE_ID}/onlineEndpoints/odd"
    answer = wire.raw("PUT", url, data=raw)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequestContent")
