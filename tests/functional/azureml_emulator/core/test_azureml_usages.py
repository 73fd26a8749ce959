"""Quota: what the real SDK reads of it, what holds cores, and what a person sets."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import AmlCompute, ManagedOnlineDeployment, ManagedOnlineEndpoint
from azure.core.exceptions import HttpResponseError

from local.azureml.server import Emulator
from shared.azureml.quota import Quota, limits_of, machines_of
from tests.functional.azureml_emulator.core.contract import faults_of
from tests.functional.azureml_emulator.core.driver import Wire

F_FAMILY, A100_FAMILY = "standardFSv2Family", "standardNCADSA100v4Family"


@pytest.fixture
def quota_file(emulator: Emulator) -> Iterator[Path]:
    file = emulator.services.config.state_dir / "quota.json"
    yield file
    file.unlink(missing_ok=True)


def used(client: MLClient, family: str, words: str = "Dedicated") -> tuple[int, int]:
    """Return use and limit as Microsoft's own code finds them: by the family's name, and a word of that for people."""
    (found,) = [
        usage
        for usage in map(vars, client.compute.list_usage())
        if usage["name"]["value"] == family and words in usage["name"]["localizedValue"]
    ]
    return found["currentValue"], found["limit"]


def test_usages_are_what_the_sdk_knows(wire: Wire) -> None:
    answer = wire("GET", "/subscriptions/" + _location(wire) + "/usages").json()
    assert [fault for usage in answer["value"] for fault in faults_of("Usage", usage)] == []
    kinds = {usage["type"].split("/")[1] for usage in answer["value"]}
    assert kinds == {"totalCores", "dedicatedCores", "lowPriorityCores", "vmFamily"}
    assert {usage["unit"] for usage in answer["value"]} == {"Count"}


def _location(wire: Wire) -> str:
    subscription = wire("GET", "").json()["id"].split("/")[2]
    return f"{subscription}/providers/Microsoft.MachineLearningServices/locations/eastus"


def test_limits_are_generous_until_a_person_sets_others(client: MLClient, quota_file: Path) -> None:
    assert used(client, A100_FAMILY) == (0, 100_000)
    assert used(client, A100_FAMILY, "LowPriority") == (0, -1)
    quota_file.write_text(json.dumps({"dedicated": {A100_FAMILY: 24, "total": 96}, "low_priority": {"total": 0}}))
    assert used(client, A100_FAMILY) == (0, 24)
    assert used(client, F_FAMILY) == (0, 100_000)
    assert used(client, "Total Cluster Dedicated Regional vCPUs") == (0, 96)
    assert used(client, "Total Cluster LowPriority Regional vCPUs", "LowPriority") == (0, 0)


def test_a_file_that_is_no_json_changes_no_limit(client: MLClient, quota_file: Path) -> None:
    quota_file.write_text("{")
    assert used(client, A100_FAMILY) == (0, 100_000)


def test_the_least_nodes_of_a_cluster_hold_cores_of_their_kind(client: MLClient) -> None:
    for name, tier in (("held", "dedicated"), ("held-low", "low_priority")):
        wanted = AmlCompute(name=name, size="Standard_NC48ads_A100_v4", min_instances=2, max_instances=4, tier=tier)
        client.compute.begin_create_or_update(wanted).result()
    assert used(client, A100_FAMILY)[0] == 96
    assert used(client, A100_FAMILY, "LowPriority")[0] == 96
    assert used(client, "Clusters", "Clusters")[0] == 2
    for name in ("held", "held-low"):
        client.compute.begin_delete(name).result()
    assert used(client, A100_FAMILY)[0] == 0


def test_deployments_hold_cores_and_are_refused_beyond_the_limit(
    client: MLClient, greeter: str, quota_file: Path
) -> None:
    quota_file.write_text(json.dumps({"dedicated": {F_FAMILY: 12}}))
    client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="quota-one", auth_mode="key")).result()
    first = ManagedOnlineDeployment(
        name="blue", endpoint_name="quota-one", model=greeter, instance_type="Standard_F4s_v2", instance_count=1
    )
    client.online_deployments.begin_create_or_update(first).result()
    assert used(client, F_FAMILY) == (8, 12)
    # Again the same: what it holds is its own.
    client.online_deployments.begin_create_or_update(first).result()
    second = ManagedOnlineDeployment(
        name="green", endpoint_name="quota-one", model=greeter, instance_type="Standard_F4s_v2", instance_count=1
    )
    with pytest.raises(HttpResponseError, match=r"Current usage/limit: 8/12\. Additional needed: 8") as refused:
        client.online_deployments.begin_create_or_update(second)
    assert refused.value.status_code == 400
    client.online_endpoints.begin_delete("quota-one").result()
    assert used(client, F_FAMILY)[0] == 0


def test_the_app_reads_the_sdks_answer(client: MLClient, quota_file: Path) -> None:
    quota_file.write_text(json.dumps({"dedicated": {A100_FAMILY: 24, F_FAMILY: 7}}))
    usages = [vars(usage) for usage in client.compute.list_usage()]
    quota = Quota(limits_of(usages), machines_of(vars(size) for size in client.compute.list_sizes()))
    assert quota.room_to_train("standard_nc24ads_A100_v4", 1, low_priority=False).lacking is None
    assert quota.room_to_train("Standard_NC24ads_A100_v4", 2, low_priority=False).lacking is not None
    assert quota.room_to_serve("Standard_F4s_v2", 1).lacking is not None
    assert quota.room_to_serve("Standard_E4s_v3", 1).needed == 8
