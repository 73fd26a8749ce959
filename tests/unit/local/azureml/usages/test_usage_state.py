"""Cores that are held, and limits: pure."""

from typing import Any

import pytest

from local.azureml import catalog
from local.azureml.usages import state
from local.azureml.usages.state import GENEROUS, Holding, Use
from shared.azureml.quota import instances_reserved

F = "standardFSv2Family"


def cluster(nodes: int, priority: str = "Dedicated") -> dict[str, Any]:
    inner = {"vmSize": "STANDARD_F4S_V2", "vmPriority": priority, "scaleSettings": {"minNodeCount": nodes}}
    return {"properties": {"computeType": "AmlCompute", "properties": inner}}


def test_a_serverless_job_holds_its_nodes() -> None:
    inputs = {"instance_type_finetune": "Standard_F4s_v2", "num_nodes_finetune": "3"}
    assert state.of_job(inputs, {}) == (None, [Holding(F, "dedicated", 12)])


def test_a_job_on_a_cluster_holds_nodes_of_the_clusters_kind() -> None:
    found = state.of_job({"compute_finetune": "azureml:Gpu"}, {"gpu": cluster(0, "LowPriority")})
    assert found == ("gpu", [Holding(F, "low_priority", 4)])
    assert state.of_job({"compute_finetune": "gone"}, {}) == ("gone", [])


def test_a_cluster_holds_its_least_number_of_nodes() -> None:
    assert state.of_cluster(cluster(0)) == []
    assert state.of_cluster(cluster(2)) == [Holding(F, "dedicated", 8)]


@pytest.mark.parametrize("size", [size["name"] for size in catalog.vm_sizes()])
def test_app_and_emulator_agree_on_the_reserve_of_every_size(size: str) -> None:
    cores = catalog.vm_size(size)["vCPUs"]  # type: ignore[index]
    for instances in (1, 5, 6, 10):
        (holding,) = state.of_deployment(size, instances)
        assert holding.cores == cores * instances_reserved(size, instances)


def test_uses_are_added_up_by_family_and_in_all() -> None:
    held = [Holding(F, "dedicated", 8), Holding("standardESv3Family", "dedicated", 4), Holding(F, "low_priority", 2)]
    found = {(use.family, use.priority): use for use in state.uses(held, {"dedicated": {F: 8}})}
    assert found[F, "dedicated"] == Use(F, "dedicated", 8, 8)
    assert found[F, "low_priority"] == Use(F, "low_priority", 2, -1)
    assert found["total", "dedicated"] == Use("total", "dedicated", 12, GENEROUS)


@pytest.mark.parametrize(("limit", "fits"), [(16, True), (15, False)])
def test_what_does_not_fit_is_found(limit: int, fits: bool) -> None:
    found = state.uses([Holding(F, "dedicated", 8)], {"dedicated": {"total": limit}})
    assert (state.lacking(state.of_deployment("Standard_F4s_v2", 1), found) is None) == fits
